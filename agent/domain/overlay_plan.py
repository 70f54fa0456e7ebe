"""What the network of a grid needs on this node: interfaces, routes, neighbours and rules, as a value. Pure."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

WIREGUARD, VXLAN = "wireguard", "vxlan"
# What each way adds to a packet: WireGuard over IPv6, VXLAN over IPv4.
_WIREGUARD_BYTES = 80
_VXLAN_BYTES = 50
_SMALLEST_MTU = 1280
_KEEPALIVE_SECONDS = 25


@dataclass(frozen=True, slots=True)
class Names:
    """Names of all that this node has for one grid: several agents of one machine never share any."""

    key: str

    @property
    def bridge(self) -> str:
        """The engine's bridge."""
        return f"kbr-{self.key}"

    @property
    def wireguard(self) -> str:
        """The interface to encrypted peers."""
        return f"kwg-{self.key}"

    @property
    def vxlan(self) -> str:
        """The interface to trusted peers."""
        return f"kvx-{self.key}"

    def chain(self, purpose: str) -> str:
        """A chain of firewall rules."""
        return f"KONTENA-{self.key}-{purpose}"


def names_of(node_id: str) -> Names:
    """The names of a node, by its record id."""
    return Names(hashlib.sha256(node_id.encode()).hexdigest()[:8])


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node, as the master says it is reached."""

    id: str
    name: str
    mode: str
    endpoint: str
    port: int
    public_key: str
    block: str
    overlay_ip: str
    distant: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where this node is in its grid. One that keeps to itself has no ports: its block is a network of its own."""

    node_id: str
    grid_id: str
    grid: str
    subnet: str
    block: str
    overlay_ip: str
    wireguard_port: int
    vxlan_port: int

    @property
    def names(self) -> Names:
        """Names of what it has on this machine."""
        return names_of(self.node_id)

    @property
    def devices(self) -> tuple[str, ...]:
        """The interfaces that lead to other nodes."""
        return (self.names.wireguard, self.names.vxlan) if self.vxlan_port else ()

    @property
    def gateway(self) -> str:
        """Address of the node in its block: gateway and resolver of its containers."""
        return str(next(ipaddress.ip_network(self.block).hosts()))


def by_itself(engine_id: str, grid_id: str, grid: str, block: str) -> Place:
    """The place of a node that takes no part in the network between nodes, beside the one that it may have there. The
    same when it leaves its grid and joins it again."""
    return Place(f"{engine_id} {grid_id}", grid_id, grid, block, block, "", 0, 0)


def local_names(engine_id: str, grid_id: str) -> Names:
    """The names of what a node has by itself."""
    return by_itself(engine_id, grid_id, "", "").names


@dataclass(frozen=True, slots=True)
class Route:
    """To a block or an address of another node; `via` is empty where the interface knows the way."""

    destination: str
    device: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A trusted peer on the VXLAN interface."""

    overlay_ip: str
    mac: str
    endpoint: str
    port: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """All of it. WireGuard and VXLAN are there while a peer needs them."""

    place: Place
    encrypted: tuple[Peer, ...]
    trusted: tuple[Peer, ...]
    wireguard_mtu: int
    vxlan_mtu: int

    @property
    def routes(self) -> tuple[Route, ...]:
        """To everything of every peer."""
        names = self.place.names
        found = [Route(place, names.wireguard) for peer in self.encrypted for place in _places(peer)]
        for peer in self.trusted:
            found += [Route(f"{peer.overlay_ip}/32", names.vxlan), Route(peer.block, names.vxlan, peer.overlay_ip)]
        return tuple(found)

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """Nothing is flooded and nothing is learned: a trusted peer is where the master says."""
        return tuple(
            Neighbour(peer.overlay_ip, mac_of(peer.overlay_ip), peer.endpoint, peer.port) for peer in self.trusted
        )

    @property
    def vni(self) -> int:
        """Network identifier of the grid: frames of another grid are not taken for ours."""
        return int.from_bytes(hashlib.sha256(self.place.grid_id.encode()).digest()[:3], "big") or 1


def plan(place: Place, peers: Sequence[Peer], underlay_mtu: int) -> Overlay:
    """What must be there so that the containers of this node reach those of the peers."""
    others = sorted((peer for peer in peers if peer.id != place.node_id), key=lambda peer: peer.id)
    return Overlay(
        place,
        tuple(peer for peer in others if peer.mode == WIREGUARD and peer.public_key),
        tuple(peer for peer in others if peer.mode == VXLAN),
        container_mtu(underlay_mtu),
        max(_SMALLEST_MTU, underlay_mtu - _VXLAN_BYTES),
    )


def container_mtu(underlay_mtu: int) -> int:
    """For containers, whose packets may take either way, today or after a change of the settings."""
    return max(_SMALLEST_MTU, underlay_mtu - _WIREGUARD_BYTES)


def mac_of(overlay_ip: str) -> str:
    """Address of a node's VXLAN interface: known to all without asking."""
    return "02:6b:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(overlay_ip).packed)


def wireguard_config(overlay: Overlay, private_key: str) -> str:
    """The configuration for `wg syncconf`."""
    lines = ["[Interface]", f"PrivateKey = {private_key}", f"ListenPort = {overlay.place.wireguard_port}"]
    for peer in overlay.encrypted:
        host = f"[{peer.endpoint}]" if ":" in peer.endpoint else peer.endpoint
        lines += ["[Peer]", f"PublicKey = {peer.public_key}", f"Endpoint = {host}:{peer.port}"]
        lines.append(f"AllowedIPs = {', '.join(_places(peer))}")
        if peer.distant:
            lines.append(f"PersistentKeepalive = {_KEEPALIVE_SECONDS}")
    return "\n".join(lines) + "\n"


def overlaps(subnet: str, routes: Sequence[tuple[str, str]], own_devices: Sequence[str]) -> str:
    """The network of this machine that overlaps with the grid's subnet, as `network on device`; empty when none does.
    `routes` are destinations with their devices."""
    wanted = ipaddress.ip_network(subnet, strict=False)
    for destination, device in routes:
        if device in own_devices or destination in ("default", ""):
            continue
        try:
            network = ipaddress.ip_network(destination, strict=False)
        except ValueError:
            continue
        if network.version == wanted.version and network.overlaps(wanted):
            return f"{network} on {device}"
    return ""


def _places(peer: Peer) -> tuple[str, str]:
    return peer.block, f"{peer.overlay_ip}/32"
