"""Which agents may open a session, and when a session has to end (spec/auth_grid.md section 14)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from services.grid_svc.domain.grid import Grid, overlay_ip
from services.grid_svc.domain.names import unique_name
from services.grid_svc.domain.node import Facts, Node, Peer, lowest_free_number, peer_ips

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.\d{1,9})*(?P<pre>[-.+].+)?", re.ASCII)
_LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class JoinTokens:
    """The tokens an agent showed; empty when it did not."""

    grid: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """How an agent introduces itself."""

    node_id: str
    name: str
    agent_version: str
    labels: tuple[str, ...] = ()
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The machine; `labels` count only while the node has none."""

    facts: Facts
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """What an agent must know of its own node and grid."""

    id: str
    name: str
    node_number: int
    overlay_ip: str
    peer_ips: tuple[str, ...]
    labels: tuple[str, ...]
    grid_id: str
    grid: str
    subnet: str
    supernet: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no session: a reason for programs, a message for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NewNode:
    """What the first join of a machine registers."""

    name: str
    node_number: int


INVALID_GRID_TOKEN = Refusal("INVALID_GRID_TOKEN", "Invalid grid token")
INVALID_NODE_TOKEN = Refusal("INVALID_NODE_TOKEN", "Invalid node token")
MISSING_TOKEN = Refusal("MISSING_TOKEN", "Missing token")
NODE_ID_IN_USE = Refusal("NODE_ID_IN_USE", "Invalid node ID, already used by a different node")
GRID_FULL = Refusal("GRID_FULL", "The grid has no free node numbers. Remove a node first.")


def check_hello(hello: Hello, tokens: JoinTokens, server_version: str) -> Refusal | None:
    """The first rule that the agent breaks before anything is looked up."""
    if not compatible(hello.agent_version, server_version):
        text = f"agent version {hello.agent_version} is not compatible with server version {server_version}"
        return Refusal("VERSION_MISMATCH", text)
    if not hello.node_id or len(hello.node_id) > _LONGEST_ID:
        return Refusal("MISSING_NODE_ID", "Missing Kontena-Node-ID")
    if not hello.name:
        return Refusal("MISSING_NODE_ID", "Missing Kontena-Node-Name")
    if not tokens.grid:
        # Nodes have no tokens of their own yet, so any such token is unknown.
        return INVALID_NODE_TOKEN if tokens.node else MISSING_TOKEN
    return None


def compatible(agent: str, server: str) -> bool:
    """Same major and minor number; a pre-release agent needs a pre-release server."""
    ours, theirs = _VERSION.fullmatch(server), _VERSION.fullmatch(agent)
    if ours is None or theirs is None:
        return False
    same = (int(ours[1]), int(ours[2])) == (int(theirs[1]), int(theirs[2]))
    return same and (theirs["pre"] is None or ours["pre"] is not None)


def check_known(node: Node, grid: Grid) -> Refusal | None:
    """Whether a machine that is registered already may join `grid`."""
    return None if node.grid_id == grid.id else NODE_ID_IN_USE


def first_join(announced: str, numbers: Collection[int], names: Collection[str]) -> NewNode | Refusal:
    """Number and name of a new node, given those in use in its grid."""
    number = lowest_free_number(numbers)
    return GRID_FULL if number is None else NewNode(unique_name(announced, number, names), number)


def standing(name: str, number: int, node: Node | None) -> Refusal | None:
    """Why session `number` of the node called `name` must end, or None when it is the present one."""
    if node is None:
        return Refusal("NODE_REMOVED", f"host node {name} has been removed")
    if node.session != number:
        at = node.connected_at.isoformat() if node.connected_at else "an unknown time"
        return Refusal("SESSION_SUPERSEDED", f"host node {name} connection conflict with new connection at {at}")
    if not node.connected:
        return Refusal("SESSION_RESET", f"host node {name} has been disconnected")
    return None


def silent(seconds: float) -> Refusal:
    """The end of a session whose agent said nothing for `seconds`."""
    return Refusal("HEARTBEAT_TIMEOUT", f"ping timeout after {seconds:g}s")


def describe(node: Node, grid: Grid, peers: Collection[Peer]) -> NodeDescription:
    """What the agent of `node` must know."""
    return NodeDescription(
        id=node.id,
        name=node.name,
        node_number=node.node_number,
        overlay_ip=overlay_ip(grid.subnet, node.node_number),
        peer_ips=tuple(peer_ips(node.id, node.labels, peers)),
        labels=node.labels,
        grid_id=grid.id,
        grid=grid.name,
        subnet=grid.subnet,
        supernet=grid.supernet,
    )
