"""What a node is, and what follows from its attributes (docs/spec/auth_grid.md sections 13.1 to 13.3)."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.grid_svc.domain.join_token import StoredToken, given_token
from services.grid_svc.domain.network import UNREACHABLE, NodeNetwork
from services.grid_svc.domain.resource_usage import ResourceUsage
from services.kernel.validation import Checker

AVAILABILITIES = ("active", "drain")
_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_NAME = 200
_LONGEST_LABEL = 255
_MOST_LABELS = 64
NAME_TAKEN = "Node with name {} already exists"


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
    network: NodeNetwork = UNREACHABLE


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs an agent. `id` is the record's, `engine_id` the engine's."""

    id: str
    grid_id: str
    name: str
    node_number: int
    engine_id: str | None = None
    token: StoredToken | None = None
    node_key: bytes | None = None
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
    close_code: int | None = None
    close_reason: str | None = None
    rejected_at: datetime | None = None
    clock_skew: float | None = None
    # Of the agent's processes that had the session, newest first.
    agent_starts: tuple[str, ...] = ()
    # Who else tried to be this node a short while ago.
    conflict: str | None = None

    @property
    def connection_error(self) -> str | None:
        """What is wrong with its connection, in words."""
        if self.engine_id is None or self.connected:
            return self.conflict
        return not_connected(self)

    @property
    def key_fingerprint(self) -> str | None:
        """The node's key in the form that people compare."""
        if self.node_key is None:
            return None
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.node_key).digest()).decode().rstrip("=")

    @property
    def etag(self) -> str:
        """Names this version of what users set; what the agent tells makes no other version."""
        set_by_users = json.dumps([self.labels, self.availability])
        return f"{self.id}-{hashlib.sha256(set_by_users.encode()).hexdigest()[:16]}"

    @property
    def status(self) -> str:
        """The first state that fits, of created, offline, connecting, drain, online."""
        if self.engine_id is None:
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
    labels = None if given.labels is None else _labels(checker, given.labels)
    availability = checker.text("availability", given.availability, options=AVAILABILITIES)
    checker.done()
    return NodeChanges(labels, availability)


@dataclass(frozen=True, slots=True)
class NodeInput:
    """A node registered ahead of its agent; None takes the default, if there is one."""

    name: str | None = None
    token: str | None = None
    labels: Sequence[str] = ()


def check_new(given: NodeInput) -> NodeInput:
    """The cleaned attributes. Raises ValidationFailed."""
    checker = Checker()
    if given.name is None:
        checker.fail("name", "Name can't be nil")
    checked = NodeInput(
        name=checker.text("name", given.name, pattern=_NAME, longest=_LONGEST_NAME),
        token=given_token(checker, given.token),
        labels=_labels(checker, given.labels),
    )
    checker.done()
    return checked


def _labels(checker: Checker, given: Sequence[str]) -> tuple[str, ...]:
    return tuple(checker.texts("labels", given, longest=_LONGEST_LABEL, most=_MOST_LABELS))


def not_connected(node: Node) -> str:
    """Why a node that is not connected is not, in the words clients know."""
    end = f"with code {node.close_code or 1006}: {node.close_reason or 'the connection broke'}"
    if node.rejected_at is not None:
        return f"Websocket connection rejected at {node.rejected_at.isoformat()} {end}"
    if node.disconnected_at is not None:
        return f"Websocket disconnected at {node.disconnected_at.isoformat()} {end}"
    return "Websocket is not connected"


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


class AddressBook:
    """`peer_ips` of every node of a grid, in a time that grows with their number and not with its square."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = peers
        self._regions: dict[str, tuple[list[str], Counter[str]]] = {}

    def others(self, node: Peer) -> list[str]:
        """Addresses of all nodes but `node`, which may be newer than the book."""
        home, own = node.region, node.private_ip
        if home not in self._regions:
            seen = (other.private_ip if other.region == home else other.public_ip for other in self._peers)
            owners = Counter(address for address in seen if address)
            self._regions[home] = (list(owners), owners)
        addresses, owners = self._regions[home]
        if not own or owners[own] != 1:
            return addresses
        index = addresses.index(own)
        return addresses[:index] + addresses[index + 1 :]


def lowest_free_number(used: Collection[int], last: int) -> int | None:
    """The node number for a new node, or None when all up to `last` are in use."""
    return next((number for number in range(1, last + 1) if number not in used), None)


def load_of(usage: ResourceUsage | None) -> Mapping[str, float]:
    """Load averages with all the periods that clients read."""
    return {"1m": 0.0, "5m": 0.0, "15m": 0.0, **(usage.load if usage else {})}
