"""A node that cannot take part at first: it says why, works by itself, and joins later without touching what runs."""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.network.conftest import GRID, LONG_DRAIN, REQUESTS, Mesh, start_engine
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon

# Its names must not lead to one that does not listen yet.
LATE = "mkdir -p /www; echo $HOSTNAME > /www/index.html; sleep 1; exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module")
def fourth(mesh: Mesh) -> Iterator[MeshNode]:
    """A node on a machine with a network of its own inside of the grid's subnet."""
    with tempfile.TemporaryDirectory(prefix="kmesh") as folder:
        node = MeshNode(mesh.suite, mesh.underlay, 4, 12, Path(folder) / "4")
        try:
            start_engine(node)
            node.inside("ip", "link", "add", "office", "type", "bridge")
            node.inside("ip", "addr", "add", "10.81.200.1/24", "dev", "office")
            node.inside("ip", "link", "set", "office", "up")
            node.start(mesh.token, KONTENA_DRAIN_SECONDS=str(LONG_DRAIN))
            soon(partial(mesh.online, node), message="the node is online")
            yield node
        finally:
            node.close()
            for service in ("asking", "old", "fresh"):
                mesh.api.request("DELETE", f"/v1/services/{GRID}/null/{service}")
            mesh.api.request("DELETE", f"/v1/nodes/{GRID}/{node.name}")


# Asks a resolver for a name, from the same port each time.
ASK = """
import sys, dns.message, dns.query
print(dns.query.udp(dns.message.make_query(sys.argv[2], "A"), sys.argv[1], timeout=5, source_port=20053))
"""


def answered(node: MeshNode, container: str, name: str) -> str:
    """What the resolver that a container asks says to a client that always uses one port."""
    [network] = node.engine.inspect(container)["NetworkSettings"]["Networks"].values()
    inside = ("nsenter", "-t", node.pid_of(container), "-n", "--", sys.executable, "-c", ASK)
    return node.inside(*inside, network["Gateway"], f"{name}.{GRID}.kontena.local")


def read(node: MeshNode, container: str, name: str) -> str:
    url = f"http://{name}.{GRID}.kontena.local:8080/"
    return node.execute(container, "/usr/bin/curl", "-fsS", "-m", "2", url).strip()


def events(mesh: Mesh) -> list[str]:
    """What the grid tells of the networks of its nodes."""
    logs = mesh.api.call("GET", f"/v1/grids/{GRID}/event_logs?limit=500")["logs"]
    return [str(item["message"]) for item in logs if item["type"] == "node:network"]


def addresses(node: MeshNode, name: str) -> set[str]:
    """What a container of a node by itself is answered."""
    shown = node.execute("asking-1", "/bin/nslookup", f"{name}.{GRID}.kontena.local", check=False)
    found = {line.split()[-1] for line in shown.splitlines() if line.startswith("Address:")}
    return {address for address in found if not address.startswith("127.")}


def test_an_update_that_starts_first_fails_no_request_on_a_node_by_itself(mesh: Mesh, fourth: MeshNode) -> None:
    here = {"affinity": [f"node=={fourth.name}"], "strategy": "ha"}
    mesh.serve("asking", instances=1, **here)
    opts = {"wait_for_port": 8080, "order": "start_first", "min_health": 0}
    path = mesh.serve("late", cmd=["sh", "-c", LATE], stop_grace_period="0s", instances=3, deploy_opts=opts, **here)
    soon(lambda: len(addresses(fourth, "late")) == 3, message="all are answered")
    before = addresses(fourth, "late")

    def replaced() -> bool:
        now = addresses(fourth, "late")
        return len(now) == 3 and before.isdisjoint(now)

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(fourth.execute, "asking-1", "/bin/sh", "-c", REQUESTS.format(name="late", seconds=120))
        try:
            mesh.api.call("PUT", f"/v1/services/{path}", {"env": ["VERSION=2"]})
            mesh.api.deploy(path)
            soon(replaced, message="names lead to the successors, and to nothing else")
            # One that starts ends what its predecessor left beside a successor.
            fourth.kill()
            fourth.start_again()
            soon(lambda: not any(".former" in name for name in fourth.running()), message="those of before are gone")
        finally:
            fourth.execute("asking-1", "/bin/touch", "/www/enough-late")
        made, failed = map(int, asked.result(timeout=180).split())
    mesh.api.request("DELETE", f"/v1/services/{path}")
    assert (made > 0, failed) == (True, 0)


def test_an_overlap_is_told_and_when_it_is_gone_old_and_new_containers_talk(mesh: Mesh, fourth: MeshNode) -> None:
    def told() -> str:
        health = mesh.health(fourth)
        assert (health["state"], health["block"]) == ("local", "10.81.4.0/24"), health
        [problem] = health["problems"]
        return str(problem)

    problem = soon(told, message="the overlap is in the health of the node")
    assert "10.81.0.0/16 overlaps with 10.81.200.0/24 on office" in problem
    soon(lambda: any("10.81.200.0/24 on office" in text for text in events(mesh)), message="and in the event log")
    here = {"affinity": [f"node=={fourth.name}"], "strategy": "ha", "instances": 1}
    mesh.serve("old", **here)
    before = fourth.running()
    assert mesh.addresses(mesh.nodes[0], "old") == set(), "other nodes have no way to it"

    fourth.inside("ip", "link", "del", "office")
    # The resolver of before, which the system does not redirect this client from, goes on.
    soon(
        lambda: answered(fourth, "old-1", "old") and mesh.health(fourth)["state"] == "overlay", message="it takes part"
    )
    mesh.serve("fresh", **here)
    address = fourth.engine.inspect("fresh-1")["NetworkSettings"]["Networks"][f"kontena-{GRID}-10.81.4.0"]["IPAddress"]
    soon(lambda: address in answered(fourth, "old-1", "fresh"), message="old ones are told of new ones, whatever port")
    assert fourth.running().items() >= before.items(), "what ran was not touched"
    networks = fourth.engine.inspect("fresh-1")["NetworkSettings"]["Networks"]
    assert list(networks) == [f"kontena-{GRID}-10.81.4.0"]
    soon(lambda: read(fourth, "fresh-1", "old-1") == "plain-old-1", message="new ones find old ones")
    soon(lambda: read(fourth, "old-1", "fresh-1") == "plain-fresh-1", message="old ones find new ones")
    db = mesh.instance("db", mesh.nodes[1])
    soon(lambda: read(fourth, "old-1", db) == f"plain-{db}", message="old ones find those of other nodes")
    soon(lambda: mesh.fetch(mesh.nodes[1], "fresh") == "plain-fresh-1", message="other nodes find new ones")
