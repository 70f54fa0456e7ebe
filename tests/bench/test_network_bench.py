"""What the network between nodes gives: each mode beside the bare link, and the resolver beside the engine's own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import traffic
from tests.network.conftest import GRID, Mesh, mesh
from tests.network.modes import VXLAN, WIREGUARD, choose
from tests.support.mesh_node import MeshNode
from tests.support.underlay import shell

__all__ = ["mesh"]

SECONDS = 5.0
PORT = 9100
ENGINE = "127.0.0.11"
PROGRAM = [sys.executable, str(Path(traffic.__file__))]


def in_machine(node: MeshNode) -> list[str]:
    """Runs what follows on the machine of a node."""
    return ["nsenter", f"--net=/var/run/netns/{node.machine}", *PROGRAM]


def in_container(node: MeshNode, container: str) -> list[str]:
    """Runs what follows in the network of a container."""
    return ["nsenter", "-t", node.pid_of(container), "-n", *PROGRAM]


@contextmanager
def serving(where: list[str], address: str) -> Iterator[None]:
    """The other end of a measurement."""
    with subprocess.Popen([*where, "serve", address, str(PORT)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def measure(where: list[str], verb: str, address: str, target: str) -> dict[str, float]:
    """One measurement."""
    found: dict[str, float] = json.loads(shell(*where, verb, address, target, str(SECONDS)))
    return found


def way(client: list[str], server: list[str], address: str) -> str:
    """Throughput and latency between two places, as a row."""
    with serving(server, address):
        bits = measure(client, "stream", address, str(PORT))["bits"]
        times = measure(client, "echo", address, str(PORT))
    assert bits > 0
    return f"{bits / 1e6:10,.0f}   {times['p50'] * 1e6:7.0f}   {times['p99'] * 1e6:7.0f}"


def address_of(node: MeshNode, container: str) -> str:
    """Address of a container in the network of the grid."""
    [network] = node.engine.inspect(container)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def test_ways_between_containers(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, _ = mesh.nodes
    rows = [("link, machine to machine", way(in_machine(one), in_machine(two), two.address))]
    web, near, far = mesh.instance("web", one), mesh.instance("db", one), mesh.instance("db", two)
    client, other = in_container(one, web), in_container(two, far)
    rows.append(("containers on one node", way(client, in_container(one, near), address_of(one, near))))
    for mode in (VXLAN, WIREGUARD):
        choose(mesh, mode)
        mesh.all_reach_all()
        rows.append((mode, way(client, other, address_of(two, far))))
    title = f"{os.cpu_count()} cores, one TCP connection"
    show(capsys, title, "    Mbit/s    p50 us    p99 us", rows)


def test_answers_of_the_resolver(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    one = mesh.nodes[0]
    web, near = mesh.instance("web", one), mesh.instance("db", one)
    [resolver] = one.engine.inspect(web)["HostConfig"]["Dns"]
    service = f"db.{GRID}.kontena.local"
    asked = {
        "resolver of the node": (resolver, service),
        "the same by way of the engine": (ENGINE, service),
        "engine, a container of its own": (ENGINE, near),
    }
    rows = []
    for title, (server, name) in asked.items():
        found = measure(in_container(one, web), "dns", server, name)
        rows.append((title, f"{found['rate']:12,.0f}   {100 * found['failed']:11.2f}"))
        assert found["rate"] > 0, title
        if server == resolver:
            assert found["failed"] < 0.001, "the resolver of the node loses nothing"
    show(capsys, "DNS, 32 questions at once", "   answers/s   without one %", rows)


def show(capsys: pytest.CaptureFixture[str], title: str, columns: str, rows: list[tuple[str, str]]) -> None:
    """Print a table."""
    with capsys.disabled():
        print(f"\n{title:34}{columns}")  # noqa: T201
        for name, row in rows:
            print(f"{name:34}{row}")  # noqa: T201
