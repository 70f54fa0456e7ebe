"""A node is drained and removed: last of all, as it is gone for the other tests afterwards."""

import time

from tests.network.conftest import GRID, SOAK, Mesh
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon

# Two on a machine that does nothing else; other tests run beside the short form.
GONE_SECONDS = 3.0 if SOAK else 60.0


def test_a_node_that_is_removed_reaches_nobody(mesh: Mesh) -> None:
    one, two, three = mesh.nodes
    name, away = mesh.instance("db", two), mesh.instance("db", three)
    address = three.engine.inspect(away)["NetworkSettings"]["Networks"][f"kontena-{GRID}"]["IPAddress"]
    reach = ("/usr/bin/curl", "-sS", "-m", "1", f"http://{address}:8080/")
    assert mesh.fetch(three, name) == f"plain-{name}"
    three.kill()
    mesh.api.request("DELETE", f"/v1/nodes/{GRID}/{three.name}")
    soon(lambda: "timed out" in _problem(one, mesh, reach), within=GONE_SECONDS, message="nothing gets there")
    assert "timed out" in _problem(three, mesh, (*reach[:-1], f"http://{_address(two, name)}:8080/"))


def _address(node: MeshNode, container: str) -> str:
    return str(node.engine.inspect(container)["NetworkSettings"]["Networks"][f"kontena-{GRID}"]["IPAddress"])


def _problem(node: MeshNode, mesh: Mesh, command: tuple[str, ...]) -> str:
    web = node.pid_of(mesh.instance("web", node))
    return node.inside("sh", "-c", f"nsenter -t {web} -n -m -- {' '.join(command)} 2>&1", check=False)


def _homes(mesh: Mesh, service: str) -> list[tuple[str, str]]:
    """Node and state of each instance of a service."""
    found = mesh.api.call("GET", f"/v1/services/{GRID}/null/{service}/instances")["instances"]
    return [((item.get("node") or {}).get("name", ""), item["state"]) for item in found]


def test_names_leave_a_drained_node_and_what_runs_elsewhere_is_not_touched(mesh: Mesh) -> None:
    one, two, _ = mesh.nodes
    gone, stays = mesh.instance("db", one), two.running()
    here = _address(one, gone)
    soon(lambda: here in mesh.addresses(two, "db"), message="it is answered")
    mesh.api.call("PUT", f"/v1/nodes/{GRID}/{one.name}", {"availability": "drain"})
    soon(lambda: here not in mesh.addresses(two, "db"), within=180, message="the instance has left")
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert mesh.fetch(two, "db").startswith("plain-db-")
    soon(lambda: gone not in one.running(), within=180, message="its container is gone")
    for service in ("web", "db"):
        soon(lambda service=service: _homes(mesh, service) == [(two.name, "running")], within=180)
    assert two.running() == stays, "nothing on the other node was touched"
