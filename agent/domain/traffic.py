"""From two readings of network counters of the machine to its traffic (docs/spec/auth_grid.md section 14.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kontena.grid.v1 import node_pb2

# Bridges of container networks, and what joins them to those of other nodes: the engine's, ours (`Names`), and those of
# agents that were there before.
_INTERNAL = ("br-", "kbr-", "kvx-", "kwg-", "kontena", "vxlan")
# The other ends of container interfaces, whose traffic passes a bridge as well; the engine's default bridge, whose
# traffic passes an interface of the machine as well; and the machine with itself.
_COUNTED_ELSEWHERE = ("veth", "docker0", "lo")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes received and sent since the machine started."""

    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """Counters by interface, and when they were read by a monotonic clock."""

    at: float
    interfaces: Mapping[str, Traffic]


def network_usage(before: TrafficReading, after: TrafficReading) -> node_pb2.NetworkUsage:
    """Traffic on container networks, absent when there are none, and on the interfaces of the machine.

    Rates are 0 without time in between.
    """
    names = [name for name in sorted(after.interfaces) if not name.startswith(_COUNTED_ELSEWHERE)]
    internal = [name for name in names if name.startswith(_INTERNAL)]
    external = [name for name in names if not name.startswith(_INTERNAL)]
    return node_pb2.NetworkUsage(
        internal=_sum(internal, before, after) if internal else None, external=_sum(external, before, after)
    )


def _sum(names: Sequence[str], before: TrafficReading, after: TrafficReading) -> node_pb2.InterfaceUsage:
    now = [after.interfaces[name] for name in names]
    # An interface that is new since the last reading, or was reset, had no traffic that we know of.
    then = [before.interfaces.get(name, after.interfaces[name]) for name in names]
    seconds = after.at - before.at
    pairs = list(zip(now, then, strict=True))
    received = sum(max(0, new.received - old.received) for new, old in pairs)
    sent = sum(max(0, new.sent - old.sent) for new, old in pairs)
    return node_pb2.InterfaceUsage(
        interfaces=names,
        rx_bytes=sum(each.received for each in now),
        rx_bytes_per_second=received / seconds if seconds > 0 else 0.0,
        tx_bytes=sum(each.sent for each in now),
        tx_bytes_per_second=sent / seconds if seconds > 0 else 0.0,
    )
