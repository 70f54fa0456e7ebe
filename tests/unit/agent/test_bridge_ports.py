"""Rules for the ports of a node's bridge."""

from agent.domain import bridge_ports
from agent.runtime.ports import Member

CHAIN = "KONTENA-abcd-PORTS"
WEB = Member("c1", "02:42:0a:51:01:05", "10.81.1.5")


def test_a_container_is_held_to_its_addresses() -> None:
    assert bridge_ports.rules(CHAIN, {"veth2": Member("c2", "02:42:0a:51:01:06", "10.81.1.6"), "veth1": WEB})[:4] == [
        f"-A {CHAIN} -s ! 02:42:0a:51:01:05 -i veth1 -j DROP",
        f"-A {CHAIN} -p ARP -i veth1 --arp-ip-src ! 10.81.1.5 -j DROP",
        f"-A {CHAIN} -p ARP -i veth1 --arp-mac-src ! 02:42:0a:51:01:05 -j DROP",
        f"-A {CHAIN} -p IPv4 -i veth1 --ip-src ! 10.81.1.5 -j DROP",
    ]


def test_what_somebody_changed_is_noticed() -> None:
    lines = bridge_ports.rules(CHAIN, {"veth1": WEB})
    saved = "\n".join(["*nat", f":{CHAIN} RETURN", f"-A PREROUTING -j {CHAIN}", *lines])
    assert bridge_ports.own_lines(CHAIN, saved) == lines
    assert bridge_ports.own_lines(CHAIN, saved.replace("-i veth1 -j DROP", "-i veth9 -j DROP")) != lines
    assert bridge_ports.is_entered(CHAIN, saved)
    assert not bridge_ports.is_entered(CHAIN, saved.replace("PREROUTING", "OUTPUT"))
    assert not bridge_ports.is_entered(CHAIN, f"-A PREROUTING -j ACCEPT\n{saved}")
    assert bridge_ports.is_entered(CHAIN, f"-A PREROUTING -j KONTENA-other-PORTS\n{saved}")


def test_a_document_replaces_the_chain() -> None:
    assert bridge_ports.document(CHAIN, ["-A x"]) == f"*nat\n:{CHAIN} RETURN\n-A x\n"
