"""What a hostile container cannot do, what a node that cannot take part says, and the way from the former network."""

from tests.network.conftest import GRID, Mesh
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon


def shout(node: MeshNode, container: str, *words: str) -> str:
    """What a program in a container says, whatever becomes of it."""
    return node.inside("sh", "-c", f"nsenter -t {node.pid_of(container)} -n -- {' '.join(words)} 2>&1", check=False)


def address(node: MeshNode, container: str) -> str:
    networks = node.engine.inspect(container)["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def test_nobody_speaks_under_the_address_of_another(mesh: Mesh) -> None:
    one, two, _ = mesh.nodes
    web, target = mesh.instance("web", one), address(two, mesh.instance("db", two))
    assert "plain-db" in shout(one, web, "curl", "-sS", "-m", "20", f"http://{target}:8080/")
    for stolen in ("10.81.3.200", "192.0.2.7"):
        shout(one, web, "ip", "addr", "add", f"{stolen}/32", "dev", "eth0")
        said = shout(one, web, "curl", "-sS", "-m", "1", "--interface", stolen, f"http://{target}:8080/")
        shout(one, web, "ip", "addr", "del", f"{stolen}/32", "dev", "eth0")
        assert "timed out" in said, said


def test_containers_reach_no_ports_of_the_nodes_themselves(mesh: Mesh) -> None:
    one, two, _ = mesh.nodes
    web = mesh.instance("web", one)
    listener = ("python3", "-m", "http.server", "9999")
    two.inside(
        "sh",
        "-c",
        f"cd /var/empty 2>/dev/null || cd /; {' '.join(listener)} >/dev/null 2>&1 & echo $! > /tmp/kmesh-{two.machine}",
    )
    try:
        soon(
            lambda: (
                "200"
                in two.inside(
                    "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:9999/", check=False
                )
            )
        )
        for inner in ("10.81.0.2", "10.81.2.1"):
            said = shout(one, web, "curl", "-sS", "-m", "1", f"http://{inner}:9999/")
            assert "timed out" in said, said
    finally:
        two.inside("sh", "-c", f"kill $(cat /tmp/kmesh-{two.machine}); rm /tmp/kmesh-{two.machine}")
    # The resolver of another node answers nobody but that node's containers.
    said = shout(one, web, "nslookup", "-timeout=1", "-retry=0", f"db.{GRID}.kontena.local", "10.81.2.1")
    assert "10.81.2." not in said.replace("10.81.2.1#53", "").replace("Server:\t\t10.81.2.1", ""), said


# Says to everybody beside the container that an address of another one is here, and speaks under its MAC address too.
CLAIM = """
import socket, struct, sys
address, mac = socket.inet_aton(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(":", ""))
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind(("eth0", 0))
own = link.getsockname()[4]
for sender in (own, mac) * 10:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + own + address + b"\\xff" * 6 + address
    link.send(b"\\xff" * 6 + sender + b"\\x08\\x06" + body)
"""


def test_nobody_speaks_under_the_addresses_of_a_container_beside_it(mesh: Mesh) -> None:
    one, two, _ = mesh.nodes
    web, db = mesh.instance("web", one), mesh.instance("db", one)
    victim = address(one, db)
    mac = one.execute(db, "cat", "/sys/class/net/eth0/address").strip()
    soon(lambda: guarded(one, victim) and guarded(one, address(one, web)), message="both are held to their addresses")

    def read() -> str:
        return shout(two, mesh.instance("web", two), "curl", "-sS", "-m", "20", f"http://{victim}:8080/").strip()

    assert read() == f"plain-{db}"
    before = learned(one, mac)
    shout(one, web, "ip", "addr", "add", f"{victim}/32", "dev", "eth0")
    try:
        said = shout(one, web, "python3", "-c", f"'{CLAIM}'", victim, mac)
        assert not said, said
        # The node itself asks anew where the address is, and hears both.
        one.inside("ip", "neigh", "flush", "to", victim)
        assert [read() for _ in range(5)] == [f"plain-{db}"] * 5
        assert mac in one.inside("ip", "neigh", "show", victim)
        assert learned(one, mac) == before, "the bridge still knows it where it is"
    finally:
        shout(one, web, "ip", "addr", "del", f"{victim}/32", "dev", "eth0")


def guarded(node: MeshNode, address: str) -> bool:
    return f"--ip-src ! {address} -j DROP" in node.inside("ebtables-save", "-t", "nat")


def learned(node: MeshNode, mac: str) -> list[str]:
    """The ports where the bridge knows an address."""
    lines = node.inside("bridge", "fdb", "show").splitlines()
    return sorted({line.split()[2] for line in lines if line.startswith(f"{mac} ") and " master kbr-" in line})


def test_frames_that_a_container_makes_are_not_taken_for_those_of_its_node(mesh: Mesh) -> None:
    """VXLAN is trusted by its sender's address, and what leaves a container has that of its node."""
    mesh.grid(trusted_subnets=[mesh.underlay.subnet])
    try:
        one, two, _ = mesh.nodes
        soon(lambda: mesh.modes(one) == ["vxlan"] * 2, message="plain")
        soon(lambda: "kvx-" in one.inside("ip", "-o", "link"), message="brought about")
        script = f"import socket; socket.socket(2, 2).sendto(b'x' * 60, ('{two.address}', 4789))"

        def goes_nowhere() -> bool:
            before = dropped(one)
            said = shout(one, mesh.instance("web", one), "python3", "-c", f'"{script}"')
            assert not said, said
            assert dropped(one) > before, "\n".join(filtered(one))
            return True

        # Not at the first try perhaps: rules that the agent writes anew count from nothing.
        soon(goes_nowhere, message="dropped")
    finally:
        mesh.grid(trusted_subnets=[])


def dropped(node: MeshNode) -> int:
    """Packets of containers to VXLAN ports that went nowhere."""
    lines = [line for line in filtered(node) if "-FWD -i kbr-" in line and "--dport 4789 -j DROP" in line]
    return sum(int(line[1:].partition(":")[0]) for line in lines)


def filtered(node: MeshNode) -> list[str]:
    """The rules of a node that let pass and drop, with what they counted."""
    return node.inside("iptables-save", "-c", "-t", "filter").splitlines()
