"""Rules for the ports of a node's bridge, for `ebtables-restore --noflush`: a container speaks under its own addresses
only, to those beside it as well. Pure.

They are looked at before the bridge learns where an address is, so what is dropped draws no frames to its sender.
"""

from collections.abc import Mapping

from agent.runtime.ports import Member

TABLE = "nat"
HOOK = "PREROUTING"


def rules(chain: str, ports: Mapping[str, Member]) -> list[str]:
    """By the name of each port on the bridge whose end in a container is known. As `ebtables-save` shows them."""
    found = []
    for port, member in sorted(ports.items()):
        found += [
            f"-A {chain} -s ! {member.mac} -i {port} -j DROP",
            f"-A {chain} -p ARP -i {port} --arp-ip-src ! {member.address} -j DROP",
            f"-A {chain} -p ARP -i {port} --arp-mac-src ! {member.mac} -j DROP",
            f"-A {chain} -p IPv4 -i {port} --ip-src ! {member.address} -j DROP",
        ]
    return found


def document(chain: str, lines: list[str]) -> str:
    """What replaces the chain as a whole."""
    return "\n".join((f"*{TABLE}", f":{chain} RETURN", *lines, ""))


def own_lines(chain: str, saved: str) -> list[str]:
    """The rules of the chain that `ebtables-save` shows: to notice when somebody has changed them."""
    return [line for line in saved.splitlines() if line.startswith(f"-A {chain} ")]


def is_entered(chain: str, saved: str) -> bool:
    """Whether all frames come by the chain before anything else of the hook, but for chains of other nodes here."""
    jump = f"-A {HOOK} -j "
    for line in saved.splitlines():
        if line == jump + chain:
            return True
        if line.startswith(f"-A {HOOK} ") and not line.startswith(f"{jump}KONTENA-"):
            return False
    return False
