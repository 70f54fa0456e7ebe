"""Which agents may open a session, and when a session has to end (docs/spec/auth_grid.md section 14)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.grid_svc.domain.grid import Grid, Logs, Statsd, overlay_ip
from services.grid_svc.domain.names import unique_name
from services.grid_svc.domain.network import DEFAULT_NETWORK, Network, grid_full, last_node_number
from services.grid_svc.domain.node import Facts, Node, lowest_free_number
from services.kernel.members import made_of
from services.kernel.session_refusals import SessionReason
from services.kernel.version import window, works_with

_LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class JoinTokens:
    """The tokens an agent showed; empty when it did not."""

    grid: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """How an agent introduces itself."""

    engine_id: str
    name: str
    agent_version: str
    labels: tuple[str, ...] = ()
    sent_at: datetime | None = None
    start_id: str = ""
    # Public key of the node. What follows a hello trusts it: whoever showed it has proved to have the private part.
    node_key: bytes = b""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The machine; `labels` count only while the node has none."""

    facts: Facts
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyProof:
    """The answer to a challenge."""

    signature: bytes


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
    # A change of these alone is not worth telling every node: the peers are followed on their own.
    peer_ips: tuple[str, ...] = field(compare=False)
    labels: tuple[str, ...]
    grid_id: str
    grid: str
    subnet: str
    supernet: str
    initial_member: bool = False
    initial_size: int = 1
    trusted_subnets: tuple[str, ...] = ()
    statsd: Statsd | None = None
    logs: Logs | None = None
    block: str = ""
    network: Network = DEFAULT_NETWORK


@dataclass(frozen=True, slots=True)
class Close:
    """How a session ended."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no session: a reason for programs, a message for people."""

    reason: SessionReason
    message: str

    @property
    def close(self) -> Close:
        """The end that it makes."""
        return Close(self.reason.close, self.message)


@dataclass(frozen=True, slots=True)
class NewNode:
    """What the first join of a machine registers."""

    name: str
    node_number: int


INVALID_GRID_TOKEN = Refusal(SessionReason.INVALID_GRID_TOKEN, "Invalid grid token")
INVALID_NODE_TOKEN = Refusal(SessionReason.INVALID_NODE_TOKEN, "Invalid node token")
MISSING_TOKEN = Refusal(SessionReason.MISSING_TOKEN, "Missing token")
NODE_ID_IN_USE = Refusal(SessionReason.NODE_ID_IN_USE, "Invalid node ID, already used by a different node")
NODE_HAS_TOKEN = Refusal(SessionReason.NODE_HAS_TOKEN, "Invalid grid token, node was created using a node token")
NODE_TOKEN_IN_USE = Refusal(SessionReason.NODE_TOKEN_IN_USE, "Invalid node token, already used by a different node")
NODE_KEY_UNPROVEN = Refusal(
    SessionReason.NODE_KEY_REFUSED, "the agent did not prove that it has the key that it showed"
)

_RESET = "an administrator of the grid can reset the key of the node"
_ADVICE = "stop one of the two, or give it a KONTENA_NODE_ID and a KONTENA_STATE_DIR of its own"

GOODBYE = Close(1000, "the agent stopped")
BROKEN = Close(1006, "the connection broke")
UNHEARD = Close(SessionReason.HEARTBEAT_TIMEOUT.close, "the agent was not heard of")


def check_hello(hello: Hello, tokens: JoinTokens, server_version: str) -> Refusal | None:
    """The first rule that the agent breaks before anything is looked up."""
    if not works_with(hello.agent_version, server_version):
        text = f"agent version {hello.agent_version} is not compatible with server version {server_version}"
        return Refusal(SessionReason.VERSION_MISMATCH, f"{text}, which takes agents of {window(server_version)}")
    if not hello.engine_id or len(hello.engine_id) > _LONGEST_ID:
        return Refusal(SessionReason.MISSING_NODE_ID, "Missing Kontena-Node-ID")
    if not hello.name:
        return Refusal(SessionReason.MISSING_NODE_ID, "Missing Kontena-Node-Name")
    return None if tokens.grid or tokens.node else MISSING_TOKEN


def check_known(node: Node) -> Refusal | None:
    """Whether a machine that is registered already may join with the token of its grid, or with its key alone."""
    return NODE_HAS_TOKEN if node.token is not None else None


def check_key(node: Node, hello: Hello) -> Refusal | None:
    """Whether the one that says hello is the machine that joined as `node`; a node without a key may be anybody."""
    if node.node_key in (None, hello.node_key):
        return None
    what = "is not the one that it joined with" if hello.node_key else "is missing"
    words = f"the key of host node {node.name} {what}; if the state folder of its agent was lost, {_RESET}"
    return Refusal(SessionReason.NODE_KEY_REFUSED, words)


def check_start(node: Node, hello: Hello) -> Refusal | None:
    """Whether another process with the same id took the node over from the one that says hello, and still has it."""
    if not node.connected or hello.start_id not in node.agent_starts[1:]:
        return None
    at = node.connected_at.isoformat() if node.connected_at else "an unknown time"
    words = f"an agent with the same id that was started later is connected as host node {node.name} since {at}"
    return Refusal(SessionReason.AGENT_SUPERSEDED, f"{words}; {_ADVICE}")


def conflict(hello: Hello) -> str:
    """What users of the node are told of an agent that `check_start` refused."""
    return f"another agent with the id of this node, named {hello.name}, tries to connect as well; {_ADVICE}"


def check_own_token(node: Node, engine_id: str, *, engine_known: bool) -> Refusal | None:
    """Whether the machine `engine_id` may join as the node whose token it showed; `engine_known`: it is a node."""
    if node.engine_id == engine_id:
        return None
    if node.engine_id is not None:
        return NODE_TOKEN_IN_USE
    return NODE_ID_IN_USE if engine_known else None


def first_join(announced: str, grid: Grid, numbers: Collection[int], names: Collection[str]) -> NewNode | Refusal:
    """Number and name of a new node of a grid, given those in use."""
    number = lowest_free_number(numbers, last_node_number(grid.subnet, grid.network))
    if number is None:
        return Refusal(SessionReason.GRID_FULL, grid_full(grid.subnet, grid.network))
    return NewNode(unique_name(announced, number, names), number)


def standing(name: str, number: int, node: Node | None) -> Refusal | None:
    """Why session `number` of the node called `name` must end, or None when it is the present one."""
    if node is None:
        return Refusal(SessionReason.NODE_REMOVED, f"host node {name} has been removed")
    if not node.connected:
        return Refusal(SessionReason.SESSION_RESET, f"host node {name} has been disconnected")
    if node.session != number:
        at = node.connected_at.isoformat() if node.connected_at else "an unknown time"
        return Refusal(
            SessionReason.SESSION_SUPERSEDED, f"host node {name} connection conflict with new connection at {at}"
        )
    return None


def silent(seconds: float) -> Refusal:
    """The end of a session whose agent said nothing for `seconds`."""
    return Refusal(SessionReason.HEARTBEAT_TIMEOUT, f"ping timeout after {seconds:g}s")


def describe(node: Node, grid: Grid, peers: Sequence[str]) -> NodeDescription:
    """What the agent of `node` must know; `peers` are the addresses of the others."""
    return made_of(
        NodeDescription,
        grid,
        id=node.id,
        name=node.name,
        node_number=node.node_number,
        overlay_ip=overlay_ip(grid.subnet, node.node_number),
        peer_ips=tuple(peers),
        labels=node.labels,
        grid_id=grid.id,
        grid=grid.name,
        initial_member=node.node_number <= grid.initial_size,
        block=grid.blocks.of(node.node_number) or "",
    )
