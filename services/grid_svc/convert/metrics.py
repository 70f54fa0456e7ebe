"""Metrics messages. Bytes are whole numbers, percentages have two decimals."""

from collections.abc import Sequence

from kontena.grid.v1 import metrics_pb2 as pb
from services.grid_svc.domain.metrics import Interfaces, Minute, Window
from services.kernel.times import shown


def metrics_to_proto(window: Window, minutes: Sequence[Minute]) -> pb.Metrics:
    """What was asked for, and the minutes found."""
    span = {"from": shown(window.start), "to": shown(window.end)}
    return pb.Metrics(**span, stats=[_minute(minute) for minute in minutes])


def _minute(minute: Minute) -> pb.MinuteMetrics:
    return pb.MinuteMetrics(
        timestamp=shown(minute.at),
        cpu=pb.CpuMetrics(used=round(minute.cpu_used, 2), cores=round(minute.cpu_cores)),
        memory=pb.MemoryMetrics(**{name: round(value) for name, value in minute.memory.items()}),
        filesystem=pb.FilesystemMetrics(**{name: round(value) for name, value in minute.filesystem.items()}),
        network=pb.NetworkMetrics(**{side: _interfaces(found) for side, found in minute.network.items()}),
    )


def _interfaces(found: Interfaces) -> pb.InterfaceMetrics:
    return pb.InterfaceMetrics(interfaces=found.names, **found.numbers)
