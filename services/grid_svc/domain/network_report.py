"""The state of a node's network, as its agent tells it."""

from dataclasses import dataclass
from datetime import datetime

STATES = ("overlay", "local")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """What a node measured of one peer, which `id` names."""

    id: str
    last_handshake: datetime | None
    rx_bytes: int
    tx_bytes: int


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """`problems` say what is wrong and what to do; `at` is when the report came, None before it is stored."""

    state: str = UNKNOWN
    problems: tuple[str, ...] = ()
    names: int = 0
    resolver_running: bool = False
    peers: tuple[PeerTraffic, ...] = ()
    at: datetime | None = None
