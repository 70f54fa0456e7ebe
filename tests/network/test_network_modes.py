"""Containers of a grid reach each other over nodes by name, encrypted and plain."""

from typing import Any

from tests.network.conftest import GRID, IMAGE, Mesh
from tests.support.suite import soon

SERVE = "mkdir -p /www; echo $HOSTNAME > /www/index.html; exec httpd -f -p 8080 -h /www"


def test_names_lead_to_instances_on_all_nodes(mesh: Mesh) -> None:
    for name in ("web", "db"):
        body: dict[str, Any] = {
            "name": name,
            "image": IMAGE,
            "stateful": False,
            "instances": 3,
            "cmd": ["sh", "-c", SERVE],
        }
        body["deploy_opts"] = {"wait_for_port": 8080}
        mesh.api.call("POST", f"/v1/grids/{GRID}/services", body, status=201)
        mesh.api.deploy(f"{GRID}/null/{name}")
    for node in mesh.nodes:
        own = next(name for name in node.running() if name.startswith("web"))
        soon(
            lambda node=node, own=own: (
                {
                    node.execute(
                        own, "/usr/bin/curl", "-sS", "-m", "2", f"http://db-{n}.{GRID}.kontena.local:8080/"
                    ).strip()
                    for n in (1, 2, 3)
                }
                == {"db-1", "db-2", "db-3"}
            ),
            within=15,
            message="names",
        )
