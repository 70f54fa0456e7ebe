"""The network while nodes, agents, engines and the master come and go."""

from functools import partial

from tests.network.conftest import AT_ONCE, SOAK, Mesh, longest_gap
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon

# Some of the time an agent runs on, and some of it one that was started meanwhile.
AWAY_SECONDS = (60.0, 6.0) if SOAK else (4.0, 2.0)
# All is well again within 10 s on a machine that does nothing else; other tests run beside the short form.
AGAIN_SECONDS = 10.0 if SOAK else 90.0


def running(mesh: Mesh) -> list[dict[str, tuple[str, str]]]:
    return [node.running() for node in mesh.nodes]


def test_agents_that_are_killed_change_nothing(mesh: Mesh) -> None:
    before = running(mesh)
    for node in mesh.nodes:
        node.kill()
    mesh.all_reach_all(within=AGAIN_SECONDS)
    for node in mesh.nodes:
        node.start_until("connected to the master")
    mesh.all_reach_all(within=AGAIN_SECONDS)
    mesh.connected()
    assert running(mesh) == before


def test_the_master_may_be_away(mesh: Mesh) -> None:
    before = running(mesh)
    one, two, _ = mesh.nodes
    name = mesh.instance("db", two)
    mesh.underlay.forwarder.cut()
    try:
        assert longest_gap(lambda: mesh.fetch(one, name) == f"plain-{name}", AWAY_SECONDS[0]) < AT_ONCE
        # What was known last also serves an agent that starts without a master, be it that it was never written.
        one.kill()
        one.forget_endpoints()
        one.start_until("the master is away")
        assert longest_gap(lambda: mesh.fetch(one, name) == f"plain-{name}", AWAY_SECONDS[1]) < AT_ONCE
    finally:
        mesh.underlay.forwarder.start()
    for node in mesh.nodes:
        soon(partial(mesh.online, node), within=120, message=f"{node.name} is online again")
    mesh.all_reach_all()
    assert running(mesh) == before


def test_an_engine_restarts_under_its_containers(mesh: Mesh) -> None:
    before = running(mesh)
    one = mesh.nodes[0]
    one.engine.halt()
    one.engine.launch()
    mesh.all_reach_all(within=AGAIN_SECONDS)
    assert running(mesh) == before


def test_what_somebody_takes_away_comes_back(mesh: Mesh) -> None:
    one, two, _ = mesh.nodes
    name = mesh.instance("db", two)
    for damage in (("iptables", "-F"), ("ip", "link", "del", _device(one)), ("pkill", "-F", _pid_file(one))):
        one.inside(*damage)
        soon(
            lambda: mesh.fetch(one, name, seconds=2.0) == f"plain-{name}",
            within=AGAIN_SECONDS,
            message=f"after {' '.join(damage)}",
        )
        # Not only the way is open again: our rules are passed, by whatever chain.
        soon(lambda: "-j KONTENA-" in one.inside("iptables", "-S", _forwarding(one)), message="the rules are passed")


def _forwarding(node: MeshNode) -> str:
    """The chain of what is forwarded: the engine's when it is entered."""
    return "DOCKER-USER" if "-j DOCKER-USER" in node.inside("iptables", "-S", "FORWARD") else "FORWARD"


def _device(node: MeshNode) -> str:
    links = node.inside("ip", "-br", "link").split()
    return next(word for word in links if word.startswith(("kwg-", "kvx-")))


def _pid_file(node: MeshNode) -> str:
    bridge = next(word for word in node.inside("ip", "-br", "link").split() if word.startswith("kbr-"))
    return f"/run/kontena/{bridge}/pid"


def test_a_node_returns_with_another_address(mesh: Mesh) -> None:
    before = running(mesh)
    three = mesh.nodes[2]
    three.kill()
    mesh.underlay.readdress(three.machine, f"{mesh.underlay.prefix}.77")
    three.start_again()
    mesh.all_reach_all(within=AGAIN_SECONDS)

    def told() -> bool:
        ends = {peer["name"]: peer["endpoint"].partition(":")[0] for peer in mesh.health(mesh.nodes[0])["peers"]}
        return ends[three.name] == f"{mesh.underlay.prefix}.77"

    # The tunnels find it by themselves, perhaps before anybody is told.
    soon(told, message="the others are told the address")
    assert running(mesh) == before
