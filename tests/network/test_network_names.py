"""Names follow what happens: a client that resolves and connects in a loop fails for two seconds at most on a machine
that does nothing else (`make soak`), and beside other tests for a while at most."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.network.conftest import GRID, REQUESTS, SOAK, Mesh
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon

SETTLED_SECONDS = 2.0
QUIET_SECONDS = 2.0
API = f"{GRID}/null/api"
# Until two addresses are answered; in failure it ends with another status.
UNTIL_TWO = (
    f"until [ $(/bin/nslookup api.{GRID}.kontena.local | grep -c '^Address:.*10\\.81\\.') = 2 ]; do sleep 0.1; done"
)


@pytest.fixture(scope="module")
def api_service(mesh: Mesh) -> Iterator[Mesh]:
    """Three instances of `api`, one per node, with a health check."""
    check = {"protocol": "http", "port": 8080, "uri": "/healthy", "initial_delay": 1, "interval": 2, "timeout": 1}
    mesh.serve("api", strategy="ha", instances=3, health_check=check)
    soon(lambda: len(mesh.addresses(mesh.nodes[0], "api")) == 3, message="all are answered")
    yield mesh
    mesh.api.request("DELETE", f"/v1/services/{API}")
    soon(
        lambda: not any(name.startswith("api-") for node in mesh.nodes for name in node.running()), message="it is gone"
    )


def without_failures(mesh: Mesh, node: MeshNode) -> None:
    """From two seconds after now on, each connection succeeds; in the short form from some moment on."""

    def quiet() -> bool:
        end, count = time.monotonic() + QUIET_SECONDS, 0
        while time.monotonic() < end or count < 4:
            assert mesh.fetch(node, "api", seconds=1.0 if SOAK else 5.0).startswith("plain-api-")
            count += 1
        return True

    if SOAK:
        time.sleep(SETTLED_SECONDS)
        quiet()
    else:
        soon(quiet, message="each connection succeeds")


def test_a_crash_and_ill_health(api_service: Mesh) -> None:
    mesh, (one, two, _) = api_service, api_service.nodes
    name = mesh.instance("api", two)
    two.docker.command("kill", name)
    without_failures(mesh, one)
    soon(lambda: len(mesh.addresses(one, "api")) == 3, message="it is back")
    # Ill health may be over in a second, so the client asks often.
    with ThreadPoolExecutor() as pool:
        told = pool.submit(one.execute, mesh.instance("web", one), "/bin/timeout", "90", "/bin/sh", "-c", UNTIL_TWO)
        two.execute(name, "/bin/rm", "/www/healthy")
        told.result()
    without_failures(mesh, one)
    soon(lambda: len(mesh.addresses(one, "api")) == 3, message="it was restarted and is healthy")


def test_fewer_and_more_instances(api_service: Mesh) -> None:
    mesh, one = api_service, api_service.nodes[0]
    for count in (2, 3):
        deploy = mesh.api.call("POST", f"/v1/services/{API}/scale", {"instances": count})
        mesh.api.deployed(API, deploy)
        soon(lambda count=count: len(mesh.addresses(one, "api")) == count, message=f"{count} are answered")
        without_failures(mesh, one)


@dataclass
class Rolled:
    """A service that is replaced since a time, behind a client: how many requests it made, and how many failed."""

    path: str
    since: str
    made: int = 0
    failed: int = 0


@contextmanager
def rolled(mesh: Mesh, name: str, seconds: int = 120, **deploy_opts: Any) -> Iterator[Rolled]:
    """Three instances of a service, all of which are replaced behind a client that asks for them by name, one request
    after the other, each for so many seconds at most. The client ends with the block."""
    opts = {"wait_for_port": 8080, **deploy_opts}
    path = mesh.serve(name, strategy="ha", instances=3, stop_grace_period="0s", deploy_opts=opts)
    one = mesh.nodes[0]
    client = mesh.instance("web", one)
    try:
        soon(lambda: len(mesh.addresses(one, name)) == 3, message="all are answered")
        before, found = mesh.addresses(one, name), Rolled(path, str(time.time()))
        with ThreadPoolExecutor() as pool:
            script = REQUESTS.format(name=name, seconds=seconds)
            requests = pool.submit(one.execute, client, "/bin/sh", "-c", script)
            try:
                mesh.api.call("PUT", f"/v1/services/{path}", {"env": ["VERSION=2"]})
                mesh.api.deploy(path)

                # Those that start when another one has stopped may get its address.
                known = before if "order" in deploy_opts else set[str]()

                def replaced() -> bool:
                    now = mesh.addresses(one, name)
                    return len(now) == 3 and known.isdisjoint(now)

                soon(replaced, message="names lead to the successors, and to nothing else")
                yield found
            finally:
                one.execute(client, "/bin/touch", f"/www/enough-{name}")
            found.made, found.failed = map(int, requests.result(timeout=180).split())
    finally:
        mesh.api.request("DELETE", f"/v1/services/{path}")


def gone(mesh: Mesh, name: str) -> None:
    """Wait until a service that was removed runs nowhere: other tests compare what runs."""
    soon(
        lambda: not any(each.startswith(f"{name}-") for node in mesh.nodes for each in node.running()),
        message=f"{name} is gone",
    )


def test_an_update_that_starts_first_fails_no_request_while_names_follow(mesh: Mesh) -> None:
    with rolled(mesh, "smooth", order="start_first", min_health=0) as found:
        assert len(mesh.former()) == 3, "all were replaced at once, and none of before has stopped"
        ports = {"ports": [{"node_port": 8123, "container_port": 8080}]}
        refused = mesh.api.call("PUT", f"/v1/services/{found.path}", ports, status=422)
        assert "ports publishes 8123" in refused["error"]["deploy_opts"]["order"]
    assert (found.made > 0, found.failed) == (True, 0)
    mesh.drain(0.2)
    gone(mesh, "smooth")


def test_an_update_that_stops_first_takes_no_more_than_min_health_allows(mesh: Mesh) -> None:
    with rolled(mesh, "stepwise", min_health=0.6) as found:
        assert mesh.most_stopped("stepwise", found.since) == 1, "two of three are 60 %"
    gone(mesh, "stepwise")
    # Two always answer, so that each stop can cost the one request that is under way there, and no other.
    assert found.made > 0
    assert found.failed <= 3


@pytest.mark.heavy
def test_an_update_that_starts_first_fails_no_request(mesh: Mesh) -> None:
    mesh.drain(3)
    with rolled(mesh, "gapless", seconds=10, order="start_first") as found:
        # The last one of before stops some seconds after the deploy has ended.
        soon(lambda: mesh.former() == [])
    gone(mesh, "gapless")
    assert (found.made > 10, found.failed) == (True, 0)


def test_a_lost_node(api_service: Mesh) -> None:
    mesh, (one, _, three) = api_service, api_service.nodes
    three.kill()
    three.inside("ip", "link", "set", "eth0", "down")
    try:
        soon(lambda: "offline" in _status(mesh, three), within=120, message="the node is lost")
        without_failures(mesh, one)
    finally:
        three.inside("ip", "link", "set", "eth0", "up")
        three.inside("ip", "route", "replace", "default", "via", f"{mesh.underlay.prefix}.254")
        three.start_again()
    soon(lambda: _status(mesh, three) == "online", within=120, message="it is back")
    mesh.all_reach_all()


def _status(mesh: Mesh, node: MeshNode) -> str:
    nodes = mesh.api.call("GET", f"/v1/grids/{GRID}/nodes")["nodes"]
    return {item["name"]: str(item["status"]) for item in nodes}.get(node.name, "")
