"""The network between the nodes of a grid: who gets which addresses, and how one node reaches another. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

MODES = ("auto", "wireguard", "vxlan", "none")
LONGEST_NODE_PREFIX = 29
NODE_PREFIX_FIXED = "cannot change while the grid has nodes: their containers have addresses of the present blocks"
_LEGACY_NUMBERS = 254
_MOST_NUMBERS = 65_534


@dataclass(frozen=True, slots=True)
class Network:
    """Settings of a grid; `node_prefix` None follows from the subnet."""

    mode: str = "auto"
    node_prefix: int | None = None


DEFAULT_NETWORK = Network()


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """What a node tells for others to reach its containers."""

    public_key: str | None = None
    wireguard_port: int = 0
    vxlan_port: int = 0


UNREACHABLE = NodeNetwork()


class Blocks:
    """The blocks of a subnet, one per node number. As a function of the number no block is given twice, it stays for
    the node's life, and is free again when the number is. The first blocks hold the addresses of the nodes themselves.
    """

    def __init__(self, subnet: str, node_prefix: int | None) -> None:
        network = ipaddress.ip_network(subnet, strict=False)
        self.prefix = default_prefix(network.prefixlen) if node_prefix is None else node_prefix
        self._base = int(network.network_address)
        self._size = 2 ** (32 - self.prefix) if self.prefix <= 32 else 0
        self._reserved = self._total = 0
        if network.version == 4 and network.prefixlen < self.prefix <= LONGEST_NODE_PREFIX:
            self._total = 2 ** (self.prefix - network.prefixlen)
            # As few as hold an address for each of the nodes that are left.
            self._reserved = -(-(self._total + 1) // (self._size + 1))

    @property
    def capacity(self) -> int:
        """How many nodes get a block, under the numbers from 1 on."""
        return self._total - self._reserved

    def of(self, node_number: int) -> str | None:
        """The block of a node in CIDR form, None when there is none for it."""
        if not 1 <= node_number <= self.capacity:
            return None
        start = self._base + (self._reserved + node_number - 1) * self._size
        return f"{ipaddress.IPv4Address(start)}/{self.prefix}"


def default_prefix(subnet_prefix: int) -> int:
    """The prefix of blocks where nobody has set one."""
    return 24 if subnet_prefix <= 16 else min(subnet_prefix + 8, 28)


def last_node_number(subnet: str, network: Network) -> int:
    """The highest number of a node: as many as there are blocks, where the subnet has some."""
    capacity = Blocks(subnet, network.node_prefix).capacity
    if capacity > 0:
        return min(capacity, _MOST_NUMBERS)
    # Without a network between the nodes: clients know numbers up to 254, a wide enough subnet takes more.
    return min(max(ipaddress.ip_network(subnet, strict=False).num_addresses - 2, _LEGACY_NUMBERS), _MOST_NUMBERS)


def grid_full(subnet: str, network: Network) -> str:
    """Why there is no room for another node, and what to do."""
    blocks = Blocks(subnet, network.node_prefix)
    if blocks.capacity <= 0:
        return "The grid has no free node numbers. Remove a node first."
    return (
        f"The grid has no free node numbers. Its subnet {subnet} has room for {blocks.capacity} nodes with a block of "
        f"/{blocks.prefix} each. Remove a node first, or create a grid with a wider subnet or smaller blocks "
        f"(network.node_prefix)."
    )


def check(subnet: str, network: Network) -> str | None:
    """What is wrong with the settings of a grid with this subnet, if anything."""
    if network.node_prefix is None:
        return None
    own = ipaddress.ip_network(subnet, strict=False)
    if own.version == 4 and own.prefixlen < network.node_prefix <= LONGEST_NODE_PREFIX:
        return None
    return f"node_prefix must be longer than the prefix of the subnet {subnet} and at most {LONGEST_NODE_PREFIX}"


@dataclass(frozen=True, slots=True)
class Member:
    """What others must know of a node. `block` is None when it has none."""

    id: str
    name: str
    node_number: int
    region: str
    public_ip: str | None
    private_ip: str | None
    network: NodeNetwork
    block: str | None
    overlay_ip: str


@dataclass(frozen=True, slots=True)
class Vantage:
    """All that the view of a node on the others depends on: nodes of one vantage see the same. `trusted` are positions
    in the grid's list of trusted subnets."""

    region: str
    trusted: frozenset[int]
    encrypts: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """How a node is reached."""

    id: str
    name: str
    node_number: int
    mode: str
    endpoint: str
    port: int
    public_key: str
    block: str
    overlay_ip: str
    distant: bool


@dataclass(frozen=True, slots=True)
class Ground:
    """What of a grid decides how its nodes reach each other."""

    mode: str = "auto"
    trusted_subnets: tuple[str, ...] = ()

    def trusted(self, private_ip: str | None) -> frozenset[int]:
        """Which of the trusted subnets an address lies in."""
        return frozenset(index for index, subnet in enumerate(self.trusted_subnets) if _within(private_ip, subnet))


def vantage_of(member: Member, ground: Ground) -> Vantage:
    """From where a node looks at the others."""
    own = member.network
    return Vantage(member.region, ground.trusted(member.private_ip), bool(own.public_key), own.vxlan_port > 0)


def seen_from(vantage: Vantage, member: Member, ground: Ground) -> Peer | None:
    """How a node of this vantage reaches `member`, None when it cannot."""
    same_region = member.region == vantage.region
    address = member.private_ip if same_region else member.public_ip
    trusted = bool(vantage.trusted & ground.trusted(member.private_ip))
    plain = vantage.plain and member.network.vxlan_port > 0
    encrypted = vantage.encrypts and bool(member.network.public_key)
    if ground.mode == "none" or member.block is None:
        return None
    if plain and trusted and ground.mode == "auto":
        return _peer(member, "vxlan", member.private_ip, member.network.vxlan_port, distant=False)
    if plain and ground.mode == "vxlan":
        return _peer(member, "vxlan", address, member.network.vxlan_port, distant=not same_region)
    if encrypted and ground.mode != "vxlan":
        return _peer(member, "wireguard", address, member.network.wireguard_port, distant=not same_region)
    return None


def _peer(member: Member, mode: str, address: str | None, port: int, *, distant: bool) -> Peer | None:
    if not _is_address(address) or not 0 < port < 65_536:
        return None
    return Peer(
        id=member.id,
        name=member.name,
        node_number=member.node_number,
        mode=mode,
        endpoint=address or "",
        port=port,
        public_key=(member.network.public_key or "") if mode == "wireguard" else "",
        block=member.block or "",
        overlay_ip=member.overlay_ip,
        distant=distant,
    )


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PeerUpdate:
    """A step of the list of peers: one object for all who hear the same."""

    reset: bool
    upserted: Sequence[Peer] = ()
    removed: Sequence[str] = ()


def _within(address: str | None, subnet: str) -> bool:
    try:
        return ipaddress.ip_address(address or "") in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False


def _is_address(address: str | None) -> bool:
    try:
        ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return True
