"""From two readings of a container's counters to what it used in between (docs/spec/orchestration.md section 9.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain.log_frames import NANO, parse_time
from kontena.deploy.v1 import stats_pb2 as pb

_DEFAULT_SHARES = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at a time, in nanoseconds and bytes. `traffic` is (received, sent) by interface."""

    time_ns: int
    cpu_ns: int
    cores: int
    memory: int
    memory_limit: int
    traffic: Mapping[str, tuple[int, int]]


def reading(shown: Mapping[str, Any]) -> Reading | None:
    """A reading from the engine's answer; None when the container does not run."""
    time_ns = parse_time(str(shown.get("read", ""))) or 0
    cpu, memory = shown.get("cpu_stats") or {}, shown.get("memory_stats") or {}
    if time_ns <= 0 or "usage" not in memory:
        return None
    # File cache that can go at any time does not count as used.
    cache = (memory.get("stats") or {}).get("inactive_file") or 0
    networks = shown.get("networks") or {}
    return Reading(
        time_ns=time_ns,
        cpu_ns=int((cpu.get("cpu_usage") or {}).get("total_usage") or 0),
        cores=int(cpu.get("online_cpus") or 1),
        memory=max(0, int(memory["usage"]) - int(cache)),
        memory_limit=int(memory.get("limit") or 0),
        traffic={
            name: (int(entry.get("rx_bytes") or 0), int(entry.get("tx_bytes") or 0)) for name, entry in networks.items()
        },
    )


def sample(container_id: str, before: Reading, after: Reading, *, shares: int) -> pb.ContainerSample | None:
    """What was used between two readings; None when there is no time between them. `shares` is the container's weight,
    0 for the engine's default. All interfaces count as external: the one network of a container leads everywhere."""
    elapsed = after.time_ns - before.time_ns
    if elapsed <= 0:
        return None
    return pb.ContainerSample(
        container_id=container_id,
        time=Timestamp(seconds=after.time_ns // NANO, nanos=after.time_ns % NANO),
        cpu=pb.CpuStats(
            usage=round(max(0, after.cpu_ns - before.cpu_ns) / elapsed * 100, 2),
            limit=shares or _DEFAULT_SHARES,
            num_cores=after.cores,
        ),
        memory=pb.MemoryStats(usage=after.memory, limit=after.memory_limit),
        network=pb.NetworkStats(
            internal=_interfaces([], before, after), external=_interfaces(sorted(after.traffic), before, after)
        ),
    )


def _interfaces(names: list[str], before: Reading, after: Reading) -> pb.InterfaceStats:
    seconds = (after.time_ns - before.time_ns) / NANO
    received, sent = (sum(after.traffic[name][index] for name in names) for index in (0, 1))
    earlier_received, earlier_sent = (
        sum(before.traffic.get(name, (0, 0))[index] for name in names) for index in (0, 1)
    )
    return pb.InterfaceStats(
        interfaces=names,
        rx_bytes=received,
        rx_bytes_per_second=round(max(0, received - earlier_received) / seconds),
        tx_bytes=sent,
        tx_bytes_per_second=round(max(0, sent - earlier_sent) / seconds),
    )
