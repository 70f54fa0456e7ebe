"""Samples: from nodes, and as answers (docs/spec/deploy_rest.md section 9)."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from kontena.deploy.v1 import stats_pb2 as pb
from services.deploy_svc.domain.container_sample import Current, Minute, Sample, Traffic, Usage
from services.kernel.times import shown, told


def sample_from_proto(sample: pb.ContainerSample) -> Sample:
    """A sample of a node; numbers that are none count as 0."""
    return Sample(
        container_id=sample.container_id[:200],
        time=told(sample.time) or datetime.now(UTC),
        usage=Usage(
            cpu=_number(sample.cpu.usage),
            cpu_limit=sample.cpu.limit,
            num_cores=sample.cpu.num_cores,
            memory=_number(sample.memory.usage),
            memory_limit=_number(sample.memory.limit),
            internal=_traffic(sample.network.internal),
            external=_traffic(sample.network.external),
        ),
    )


def current_to_proto(found: Sequence[Current]) -> list[pb.ContainerStats]:
    """The newest samples."""
    return [_current(item) for item in found]


def metrics_to_proto(begin: datetime, end: datetime, minutes: Sequence[Minute]) -> pb.ServiceMetrics:
    """The history of a service."""
    message = pb.ServiceMetrics(to=shown(end), stats=[_minute(minute) for minute in minutes])
    getattr(message, "from").MergeFrom(shown(begin))
    return message


def _minute(minute: Minute) -> pb.MetricsEntry:
    return pb.MetricsEntry(
        timestamp=shown(minute.time),
        cpu=pb.MetricsCpu(used=round(minute.cpu, 2), cores=minute.cores),
        memory=pb.MetricsMemory(used=round(minute.memory), total=round(minute.memory_limit)),
        network=_network(minute.internal, minute.external),
    )


def _current(item: Current) -> pb.ContainerStats:
    usage = item.usage
    if usage is None:
        return pb.ContainerStats(container_id=item.name)
    return pb.ContainerStats(
        container_id=item.name,
        cpu=pb.CpuStats(usage=usage.cpu, limit=usage.cpu_limit, num_cores=usage.num_cores),
        memory=pb.MemoryStats(usage=usage.memory, limit=usage.memory_limit),
        network=_network(usage.internal, usage.external),
    )


def _network(internal: Traffic, external: Traffic) -> pb.NetworkStats:
    return pb.NetworkStats(internal=_interfaces(internal), external=_interfaces(external))


def _interfaces(traffic: Traffic) -> pb.InterfaceStats:
    return pb.InterfaceStats(
        interfaces=traffic.interfaces,
        rx_bytes=round(traffic.rx_bytes),
        rx_bytes_per_second=round(traffic.rx_bytes_per_second),
        tx_bytes=round(traffic.tx_bytes),
        tx_bytes_per_second=round(traffic.tx_bytes_per_second),
    )


def _traffic(stats: pb.InterfaceStats) -> Traffic:
    return Traffic(
        interfaces=[name[:50] for name in stats.interfaces[:50]],
        rx_bytes=_number(stats.rx_bytes),
        rx_bytes_per_second=_number(stats.rx_bytes_per_second),
        tx_bytes=_number(stats.tx_bytes),
        tx_bytes_per_second=_number(stats.tx_bytes_per_second),
    )


def _number(value: float) -> float:
    return value if math.isfinite(value) else 0.0
