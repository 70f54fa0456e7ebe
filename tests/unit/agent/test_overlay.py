"""What the network of a grid needs on a node, and the way there from what the node has."""

from dataclasses import replace

import pytest

from agent.domain import firewall
from agent.domain.overlay_plan import (
    Peer,
    Place,
    Route,
    by_itself,
    container_mtu,
    mac_of,
    overlaps,
    plan,
    wireguard_config,
)
from agent.domain.overlay_steps import Observed, steps

PLACE = Place("n" * 24, "g" * 24, "main", "10.81.0.0/16", "10.81.1.0/24", "10.81.0.1", 51820, 4789)
NAMES = PLACE.names


def peer(number: int, mode: str, **changed: object) -> Peer:
    key = f"key-{number}" if mode == "wireguard" else ""
    port = 51820 if mode == "wireguard" else 4789
    made = Peer(
        f"id-{number}",
        f"node-{number}",
        mode,
        f"10.0.0.{number}",
        port,
        key,
        f"10.81.{number}.0/24",
        f"10.81.0.{number}",
    )
    return replace(made, **changed)  # type: ignore[arg-type]


ENCRYPTED, TRUSTED = peer(2, "wireguard"), peer(3, "vxlan")


def brought_about(observed_of: object = None) -> Observed:
    overlay = plan(PLACE, [ENCRYPTED, TRUSTED], 1500)
    return Observed(
        links={NAMES.wireguard: 1420, NAMES.vxlan: 1450},
        addresses={device: frozenset({"10.81.0.1/32"}) for device in (NAMES.wireguard, NAMES.vxlan)},
        routes=frozenset(overlay.routes),
        neighbours={"10.81.0.3": mac_of("10.81.0.3")},
        mapped={mac_of("10.81.0.3"): ("10.0.0.3", 0)},
    )


def test_what_is_there_is_not_touched() -> None:
    assert steps(plan(PLACE, [ENCRYPTED, TRUSTED], 1500), brought_about()) == []


def test_without_peers_there_is_nothing_between_nodes() -> None:
    assert steps(plan(PLACE, [], 1500), Observed()) == []
    # Its own entry in the list is not a peer.
    assert plan(PLACE, [peer(1, "vxlan", id=PLACE.node_id)], 1500).routes == ()


def test_a_peer_that_is_gone_leaves_nothing_behind() -> None:
    found = steps(plan(PLACE, [ENCRYPTED], 1500), brought_about())
    assert ("ip", "link", "del", NAMES.vxlan) == found[-1]
    assert ("ip", "route", "del", "10.81.3.0/24", "via", "10.81.0.3", "dev", NAMES.vxlan) in found
    assert not any("10.81.2.0/24" in command for command in found)


def test_a_peer_that_changes_its_way_is_never_without_one() -> None:
    moved = peer(2, "vxlan")
    found = steps(plan(PLACE, [moved, TRUSTED], 1500), brought_about())
    onto = ("ip", "route", "replace", "10.81.2.0/24", "via", "10.81.0.2", "dev", NAMES.vxlan, "onlink")
    assert (*onto, "src", "10.81.0.1") in found
    assert not any(command[:4] == ("ip", "route", "del", "10.81.2.0/24") for command in found)
    assert found[-1] == ("ip", "link", "del", NAMES.wireguard), "the old way goes last"


def test_a_trusted_peer_that_moves_is_found_at_its_new_address() -> None:
    found = steps(plan(PLACE, [ENCRYPTED, replace(TRUSTED, endpoint="10.0.0.33", port=4790)], 1500), brought_about())
    mac = mac_of("10.81.0.3")
    assert found == [
        ("bridge", "fdb", "del", mac, "dev", NAMES.vxlan),
        ("bridge", "fdb", "append", mac, "dev", NAMES.vxlan, "dst", "10.0.0.33", "port", "4790"),
    ]


def test_packets_of_containers_fit_every_way() -> None:
    overlay = plan(PLACE, [ENCRYPTED, TRUSTED], 1400)
    assert (overlay.wireguard_mtu, overlay.vxlan_mtu, container_mtu(1400)) == (1320, 1350, 1320)
    assert container_mtu(1280) == 1280


def test_the_configuration_of_wireguard() -> None:
    distant = peer(4, "wireguard", endpoint="2001:db8::4", distant=True)
    text = wireguard_config(plan(PLACE, [distant, ENCRYPTED], 1500), "private")
    assert text.splitlines() == [
        "[Interface]",
        "PrivateKey = private",
        "ListenPort = 51820",
        "[Peer]",
        "PublicKey = key-2",
        "Endpoint = 10.0.0.2:51820",
        "AllowedIPs = 10.81.2.0/24, 10.81.0.2/32",
        "[Peer]",
        "PublicKey = key-4",
        "Endpoint = [2001:db8::4]:51820",
        "AllowedIPs = 10.81.4.0/24, 10.81.0.4/32",
        "PersistentKeepalive = 25",
    ]


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([("default", "eth0"), ("192.168.0.0/24", "eth0")], ""),
        ([("10.81.7.0/24", "br-x")], "10.81.7.0/24 on br-x"),
        ([("10.0.0.0/8", "eth0")], "10.0.0.0/8 on eth0"),
        ([("10.81.1.0/24", NAMES.bridge)], ""),
        ([("unreachable", "lo"), ("fd00::/8", "eth0")], ""),
    ],
)
def test_a_network_of_the_machine_that_overlaps_is_named(routes: list[tuple[str, str]], found: str) -> None:
    assert overlaps("10.81.0.0/16", routes, (NAMES.bridge,)) == found


def test_rules_are_put_back_when_somebody_changes_them() -> None:
    overlay = plan(PLACE, [ENCRYPTED, TRUSTED], 1500)
    found = firewall.rules(overlay, ["br-old"], docker_user=True)
    assert [line for line in found.text.splitlines() if line.startswith("*")] == ["*raw", "*nat", "*filter"]
    jump = firewall.Jump("filter", "INPUT", NAMES.chain("IN"))
    ours = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j {jump.target}\n-A INPUT -j OTHER\nCOMMIT\n"
    late = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j OTHER\n-A INPUT -j {jump.target}\nCOMMIT\n"
    assert firewall.missing_jumps([jump], ours) == []
    assert firewall.missing_jumps([jump], late) == [jump]
    assert firewall.missing_jumps([jump], "*filter\nCOMMIT\n") == [jump]


def test_the_chain_of_the_engine_counts_when_it_is_entered() -> None:
    made = ":FORWARD ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n"
    assert firewall.leads_to_docker_user(f"*filter\n{made}-A FORWARD -j DOCKER-USER\nCOMMIT\n")
    assert not firewall.leads_to_docker_user(f"*filter\n{made}-A DOCKER-USER -j RETURN\nCOMMIT\n")


def test_a_container_speaks_for_itself_and_to_containers_only() -> None:
    text = firewall.rules(plan(PLACE, [ENCRYPTED, TRUSTED], 1500), [], docker_user=False).text
    forward, entry = NAMES.chain("FWD"), NAMES.chain("IN")
    first = {chain: next(line for line in text.splitlines() if f"-A {chain} " in line) for chain in (forward, entry)}
    assert first[forward] == f"-A {forward} ! -s 10.81.1.0/24 -i {NAMES.bridge} -j DROP"
    assert first[entry] == f"-A {entry} ! -s 10.81.1.0/24 -i {NAMES.bridge} -j DROP"
    assert f"-A {entry} -i {NAMES.bridge} -p udp -m multiport --dports 51820,4789 -j DROP" in text
    assert f"-A {forward} -i {NAMES.bridge} -p udp -m udp --dport 4789 -j DROP" in text
    gates = NAMES.chain("VXLAN-IN")
    assert [line for line in text.splitlines() if line.startswith(f"-A {gates} ")] == [
        f"-A {gates} -s 10.0.0.3 -j RETURN",
        f"-A {gates} -j DROP",
    ]


def test_trusted_traffic_is_counted_by_the_rules() -> None:
    overlay = plan(PLACE, [TRUSTED], 1500)
    saved = "\n".join(
        (
            f"[3:300] -A {NAMES.chain('VXLAN-IN')} -s 10.0.0.3/32 -j RETURN",
            f"[5:500] -A {NAMES.chain('VXLAN-OUT')} -d 10.0.0.3/32 -j RETURN",
            f"[1:100] -A {NAMES.chain('VXLAN-IN')} -j DROP",
        )
    )
    assert firewall.traffic(overlay, saved) == {"id-3": (300, 500)}


def test_a_route_knows_its_way() -> None:
    assert plan(PLACE, [TRUSTED], 1500).routes == (
        Route("10.81.0.3/32", NAMES.vxlan),
        Route("10.81.3.0/24", NAMES.vxlan, "10.81.0.3"),
    )


def test_a_node_by_itself_has_a_resolver_and_takes_no_port_of_the_machine() -> None:
    place = by_itself(PLACE.node_id, "g" * 24, "main", "172.18.0.0/16")
    assert place.names != NAMES, "it may have both for a while"
    text = firewall.rules(plan(place, [], 1500), ["br-old"], docker_user=True).text
    assert f"-d 172.18.0.1/32 -i {place.names.bridge} -p udp -m udp --dport 53 -j ACCEPT" in text
    assert "-i br-old -p udp -m udp --dport 53 -j DNAT --to-destination 172.18.0.1:53" in text
    assert "IN -i br-old -p udp -m udp --dport 53 -j ACCEPT" in text, "also where it is not redirected"
    assert "4789" not in text
    assert "51820" not in text
    assert place.names.wireguard not in text
