"""Containers of a grid reach each other over nodes by name: encrypted, plain, and both in one grid."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.conftest import BIG, GRID, HUGE, Mesh
from tests.network.modes import VXLAN, WIREGUARD, choose
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon


@pytest.mark.parametrize("mode", [WIREGUARD, VXLAN, "mixed"])
def test_containers_reach_each_other_by_name_and_with_megabytes(mesh: Mesh, mode: str, tmp_path: Path) -> None:
    choose(mesh, mode)
    mesh.all_reach_all()
    one, two, three = mesh.nodes
    peers = {"trusted": mesh.instance("db", two), "apart": mesh.instance("db", three)}
    for way, name in peers.items():
        capture = tmp_path / way
        with mesh.underlay.capture(one.machine, capture):
            assert mesh.fetch(one, name) == f"plain-{name}"
            size = len(one.execute(mesh.instance("web", one), "/usr/bin/curl", "-fsS", "-m", "60", _file(name, "big")))
        assert size == BIG, "a megabyte comes through"
        plain = mode == VXLAN or (mode == "mixed" and way == "trusted")
        assert (f"plain-{name}".encode() in capture.read_bytes()) == plain, "what others on the way can read"


def _file(name: str, file: str) -> str:
    return f"http://{name}.{GRID}.kontena.local:8080/{file}"


@contextmanager
def _transfer(mesh: Mesh) -> Iterator[None]:
    """For as long as the block lasts, a container of the first node is in the middle of a transfer from the second one;
    then the rest arrives. Nobody reads what arrives meanwhile, and it is more than all buffers on the way hold."""
    one, two, _ = mesh.nodes
    inside = ["nsenter", "-t", one.pid_of(mesh.instance("web", one)), "-n", "-m", "--"]
    read = ["/usr/bin/curl", "-fsS", "-m", "240", _file(mesh.instance("db", two), "huge")]
    with subprocess.Popen([*inside, *read], stdout=subprocess.PIPE, bufsize=0) as transfer:
        try:
            assert transfer.stdout is not None
            first = transfer.stdout.read(1)
            assert first, "it has begun"
            yield
            assert transfer.poll() is None, "it was under way meanwhile"
            content, _ = transfer.communicate(timeout=240)
        finally:
            transfer.kill()
    assert (transfer.returncode, len(first + content)) == (0, HUGE)


@pytest.mark.parametrize("mode", [VXLAN, WIREGUARD])
def test_a_connection_survives_the_change_of_its_way(mesh: Mesh, mode: str) -> None:
    with _transfer(mesh):
        choose(mesh, mode)


def test_keys_rotate_under_a_connection(mesh: Mesh) -> None:
    choose(mesh, WIREGUARD)
    one, two, _ = mesh.nodes
    before = _key(two)
    with _transfer(mesh):
        two.command("rotate-network-key")
        soon(lambda: _key(two) != before, message="the node has another key")
        soon(lambda: _key(two) in one.inside("wg", "show", _device(one), "peers"), message="its peers know the key")
    private = two.folder / "state" / "wireguard.json"
    assert private.stat().st_mode & 0o777 == 0o600
    shown = next(peer for peer in mesh.health(one)["peers"] if peer["name"] == two.name)
    assert shown["mode"] == WIREGUARD


def _device(node: MeshNode) -> str:
    return next(word for word in node.inside("ip", "-br", "link").split() if word.startswith("kwg-"))


def _key(node: MeshNode) -> str:
    return node.inside("wg", "show", _device(node), "public-key").strip()


def test_ipv6_is_answered_at_once_and_strange_names_go_on(mesh: Mesh) -> None:
    one = mesh.nodes[0]
    web = mesh.instance("web", one)
    shown = one.execute(web, "/bin/nslookup", "-type=aaaa", f"db.{GRID}.kontena.local", check=False)
    assert "timed out" not in shown
    assert "has AAAA address" not in shown
    assert "NXDOMAIN" not in shown
    assert len(mesh.addresses(one, "db")) == 3
    assert "NXDOMAIN" in one.execute(web, "/bin/nslookup", f"missing.{GRID}.kontena.local", check=False)
    asked = one.execute(web, "/bin/cat", "/etc/resolv.conf")
    assert f"{GRID}.kontena.local" in asked, "short names are completed"


def test_answers_rotate(mesh: Mesh) -> None:
    one = mesh.nodes[0]
    assert len({mesh.fetch(one, "db") for _ in range(12)}) == 3
