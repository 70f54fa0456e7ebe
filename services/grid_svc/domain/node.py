"""What a node is, and what follows from its attributes (spec/auth_grid.md sections 13.1 to 13.3)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.grid_svc.domain.resource_usage import ResourceUsage
from services.kernel.validation import Checker

AVAILABILITIES = ("active", "drain")
LAST_NUMBER = 254


@dataclass(frozen=True, slots=True)
class Driver:
    """A plugin of the engine."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the agent tells about the machine and its engine."""

    os: str | None = None
    kernel_version: str | None = None
    driver: str | None = None
    engine_root_dir: str | None = None
    docker_version: str | None = None
    public_ip: str | None = None
    private_ip: str | None = None
    mem_total: float | None = None
    mem_limit: float | None = None
    cpus: int | None = None
    network_drivers: tuple[Driver, ...] = ()
    volume_drivers: tuple[Driver, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs an agent. `id` is the record's, `node_id` the engine's."""

    id: str
    grid_id: str
    name: str
    node_number: int
    node_id: str | None = None
    labels: tuple[str, ...] = ()
    availability: str = "active"
    agent_version: str | None = None
    facts: Facts = Facts()
    stats: ResourceUsage | None = None
    session: int = 0
    connected: bool = False
    updated: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_seen_at: datetime | None = None
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    disconnected_seconds: float = 0.0

    @property
    def status(self) -> str:
        """The first state that fits, of created, offline, connecting, drain, online."""
        if self.node_id is None:
            return "created"
        if not self.connected:
            return "offline"
        if not self.updated:
            return "connecting"
        return "drain" if self.availability == "drain" else "online"


@dataclass(frozen=True, slots=True)
class Peer:
    """What the other nodes of a grid must know of a node."""

    id: str
    region: str
    public_ip: str | None
    private_ip: str | None


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """The attributes users can change; None leaves one as it is."""

    labels: Sequence[str] | None = None
    availability: str | None = None


def check_changes(given: NodeChanges) -> NodeChanges:
    """The cleaned attributes. Raises ValidationFailed."""
    checker = Checker()
    labels = None if given.labels is None else tuple(checker.texts("labels", given.labels))
    availability = checker.text("availability", given.availability, options=AVAILABILITIES)
    checker.done()
    return NodeChanges(labels, availability)


def label_value(labels: Iterable[str], name: str) -> str | None:
    """The value of the first label called `name`; None when there is no such label or it has no value."""
    for label in labels:
        key, equals, value = label.partition("=")
        if key == name:
            return value if equals else None
    return None


def peer(node: Node) -> Peer:
    """What the others must know of `node`."""
    return Peer(node.id, region(node.labels), node.facts.public_ip, node.facts.private_ip)


def region(labels: Iterable[str]) -> str:
    """The region that labels name."""
    value = label_value(labels, "region")
    return "default" if value is None else value


def peer_ips(node_id: str, labels: Iterable[str], peers: Iterable[Peer]) -> list[str]:
    """Addresses of the other nodes, each once: the private one in the same region, else the public one."""
    home = region(labels)
    others = (other for other in peers if other.id != node_id)
    found = (other.private_ip if other.region == home else other.public_ip for other in others)
    return list(dict.fromkeys(address for address in found if address))


def lowest_free_number(used: Collection[int]) -> int | None:
    """The node number for a new node, or None when the grid is full."""
    return next((number for number in range(1, LAST_NUMBER + 1) if number not in used), None)


def load_of(usage: ResourceUsage | None) -> Mapping[str, float]:
    """Load averages with all the periods that clients read."""
    return {"1m": 0.0, "5m": 0.0, "15m": 0.0, **(usage.load if usage else {})}
