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


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that a node received from and sent to all of its peers."""

    rx_bytes: int
    tx_bytes: int


def traffic_since(before: NetworkReport, now: NetworkReport) -> Traffic:
    """What passed between two reports. A peer whose counts went back was set up anew: all of them are new."""
    known = {peer.id: peer for peer in before.peers}
    received = sent = 0
    for peer in now.peers:
        earlier = known.get(peer.id, PeerTraffic(peer.id, None, 0, 0))
        received += _more(earlier.rx_bytes, peer.rx_bytes)
        sent += _more(earlier.tx_bytes, peer.tx_bytes)
    return Traffic(received, sent)


def _more(before: int, now: int) -> int:
    # Agents say what they like, and no count is below zero.
    return max(0, now - before if now >= before else now)
