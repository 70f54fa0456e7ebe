"""Firewall rules of a node's network, for `iptables-restore --noflush`. Pure.

Containers speak under addresses of their node's block only, and only to containers: neither to the ports of WireGuard
and VXLAN nor, over the overlay, to other nodes themselves. VXLAN is taken from trusted peers alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain.overlay_plan import Overlay

# The chain that the engine keeps for rules that come before its own.
DOCKER_USER = "DOCKER-USER"


@dataclass(frozen=True, slots=True)
class Jump:
    """From the beginning of a chain of the system to one of ours."""

    table: str
    chain: str
    target: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Our chains as input of `iptables-restore`, and the jumps that lead to them."""

    text: str
    jumps: tuple[Jump, ...]


def leads_to_docker_user(saved: str) -> bool:
    """Whether what is forwarded comes by the engine's chain. It may be there and not be entered: somebody emptied the
    chains of the system after the engine had started."""
    return f"-A FORWARD -j {DOCKER_USER}" in saved.splitlines()


def rules(overlay: Overlay, former_bridges: Sequence[str], *, docker_user: bool) -> Rules:
    """`former_bridges` are those of networks that the grid had on this node before: their containers and those of the
    network reach each other."""
    names = overlay.place.names
    forward, entry, leave = names.chain("FWD"), names.chain("IN"), names.chain("OUT")
    gates, sent = names.chain("VXLAN-IN"), names.chain("VXLAN-OUT")
    after, before, raw = names.chain("POST"), names.chain("PRE"), names.chain("RAW")
    tables = {
        "raw": {raw: [f"-i {device} -j ACCEPT" for device in (*overlay.place.devices, *former_bridges)]},
        "nat": {before: _redirected(overlay, former_bridges), after: _unmasked(overlay)},
        "filter": {
            gates: [f"-s {peer.endpoint} -j RETURN" for peer in overlay.trusted] + ["-j DROP"],
            # Nothing is decided here: the rules count what each peer is sent.
            sent: [f"-d {peer.endpoint} -j RETURN" for peer in overlay.trusted],
            forward: _forward(overlay, former_bridges),
            entry: _entry(overlay, former_bridges, gates),
            leave: [f"-p udp -m udp --dport {port} -j {sent}" for port in sorted({p.port for p in overlay.trusted})],
        },
    }
    lines: list[str] = []
    for table, chains in tables.items():
        lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
        lines += [f"-A {chain} {rule}" for chain, found in chains.items() for rule in found]
        lines.append("COMMIT")
    jumps = (
        Jump("raw", "PREROUTING", raw),
        Jump("nat", "PREROUTING", before),
        Jump("nat", "POSTROUTING", after),
        Jump("filter", DOCKER_USER if docker_user else "FORWARD", forward),
        Jump("filter", "INPUT", entry),
        Jump("filter", "OUTPUT", leave),
    )
    return Rules("\n".join(lines) + "\n", jumps)


def chains_of(overlay_key: str, saved: str) -> list[tuple[str, str]]:
    """Table and name of the chains of a node that `iptables-save` shows."""
    table, found = "", []
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(f":KONTENA-{overlay_key}-"):
            found.append((table, line[1:].split(" ")[0]))
    return found


def own_lines(overlay_key: str, saved: str) -> tuple[str, ...]:
    """Our rules as `iptables-save` shows them, without counters: to notice when somebody has changed them."""
    return tuple(line for line in saved.splitlines() if line.startswith(f"-A KONTENA-{overlay_key}-"))


def missing_jumps(jumps: Sequence[Jump], saved: str) -> list[Jump]:
    """Those that are not the first rule of their chain."""
    table = ""
    first: dict[tuple[str, str], list[str]] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            chain = line.split(" ")[1]
            first.setdefault((table, chain), []).append(line)
    return [jump for jump in jumps if not _leads(jump, first.get((jump.table, jump.chain), []))]


def _leads(jump: Jump, lines: Sequence[str]) -> bool:
    # Other nodes of this machine have a jump of their own, before or after.
    ours = [line for line in lines if " -j KONTENA-" in line]
    place = next((index for index, line in enumerate(lines) if line == f"-A {jump.chain} -j {jump.target}"), None)
    return place is not None and place < len(ours)


def _forward(overlay: Overlay, former_bridges: Sequence[str]) -> list[str]:
    place, names = overlay.place, overlay.place.names
    found = [f"! -s {place.block} -i {names.bridge} -j DROP"]
    ports = sorted({peer.port for peer in overlay.trusted} | {place.vxlan_port} if place.devices else ())
    # Frames that a container makes itself would come from the address of this node, which trusted peers trust.
    found += [f"-i {names.bridge} -p udp -m udp --dport {port} -j DROP" for port in ports]
    found += [f"-d {peer.endpoint} -p udp -m udp --dport {peer.port} -j DROP" for peer in overlay.trusted]
    for device in place.devices:
        found += [
            f"-i {device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-s {place.subnet} -d {place.block} -i {device} -o {names.bridge} -j ACCEPT",
            f"-i {device} -j DROP",
            *(f"-i {bridge} -o {device} -j ACCEPT" for bridge in (names.bridge, *former_bridges)),
            f"-o {device} -j DROP",
        ]
    for bridge in former_bridges:
        found += [f"-i {bridge} -o {names.bridge} -j ACCEPT", f"-i {names.bridge} -o {bridge} -j ACCEPT"]
    return found


def _entry(overlay: Overlay, former_bridges: Sequence[str], gates: str) -> list[str]:
    place, names = overlay.place, overlay.place.names
    found = [f"! -s {place.block} -i {names.bridge} -j DROP"]
    if place.devices:
        found += [
            f"-i {names.bridge} -p udp -m multiport --dports {place.wireguard_port},{place.vxlan_port} -j DROP",
            f"-p udp -m udp --dport {place.vxlan_port} -j {gates}",
        ]
    for protocol in ("udp", "tcp"):
        here, asked = f"-d {place.gateway}/32", f"-p {protocol} -m {protocol} --dport 53"
        found += [f"{here} -i {device} {asked} -j ACCEPT" for device in (names.bridge, "lo")]
        # Also to the resolver that was there before, where the system does not redirect a client yet.
        found += [f"-i {bridge} {asked} -j ACCEPT" for bridge in former_bridges]
        found.append(f"{here} {asked} -j DROP")
    for device in place.devices:
        found += [
            f"-i {device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-i {device} -p icmp -j ACCEPT",
            f"-i {device} -j DROP",
        ]
    return found


def _unmasked(overlay: Overlay) -> list[str]:
    """Containers keep their address towards containers of other nodes."""
    place = overlay.place
    return [f"-s {place.block} -d {place.subnet} ! -o {place.names.bridge} -j ACCEPT"]


def _redirected(overlay: Overlay, former_bridges: Sequence[str]) -> list[str]:
    """Containers of former networks ask the resolver for what their engine does not know."""
    return [
        f"-i {bridge} -p {protocol} -m {protocol} --dport 53 -j DNAT --to-destination {overlay.place.gateway}:53"
        for bridge in former_bridges
        for protocol in ("udp", "tcp")
    ]


def traffic(overlay: Overlay, saved: str) -> dict[str, tuple[int, int]]:
    """Bytes received from and sent to each trusted peer by its id, counted by our rules as `iptables-save -c` shows."""
    names = overlay.place.names
    counted: dict[tuple[str, str], int] = {}
    for line in saved.splitlines():
        counters, _, rule = line.partition("] -A ")
        words = rule.split(" ")
        if len(words) > 2 and words[0] in (names.chain("VXLAN-IN"), names.chain("VXLAN-OUT")):
            counted[words[0], words[2].partition("/")[0]] = int(counters.rpartition(":")[2])
    return {
        peer.id: (
            counted.get((names.chain("VXLAN-IN"), peer.endpoint), 0),
            counted.get((names.chain("VXLAN-OUT"), peer.endpoint), 0),
        )
        for peer in overlay.trusted
    }
