"""Samples of resources. Numbers that are not finite, which JSON cannot carry, become 0."""

import math
from dataclasses import asdict
from itertools import islice

from kontena.grid.v1 import node_pb2 as pb
from services.grid_svc.domain import agent_limits as most
from services.grid_svc.domain.node import Node, load_of
from services.grid_svc.domain.resource_usage import (
    CpuUsage,
    FilesystemUsage,
    InterfaceUsage,
    MemoryUsage,
    NetworkUsage,
    ResourceUsage,
    with_filesystem,
)


def finite(value: float) -> float:
    """The number, or 0."""
    return value if math.isfinite(value) else 0.0


def usage_from_proto(sample: pb.ResourceUsage) -> ResourceUsage:
    """What an agent measured."""
    memory, cpu = sample.memory, sample.cpu
    return ResourceUsage(
        memory=MemoryUsage(**{name: finite(getattr(memory, name)) for name in MemoryUsage.__slots__})
        if sample.HasField("memory")
        else None,
        load={most.text(period): finite(value) for period, value in islice(sample.load.items(), most.PERIODS)},
        filesystem=tuple(
            FilesystemUsage(most.text(item.name), *map(finite, (item.used, item.total, item.free, item.available)))
            for item in sample.filesystem[: most.ELEMENTS]
        ),
        cpu=CpuUsage(cpu.num_cores, *map(finite, (cpu.system, cpu.user, cpu.nice, cpu.idle)))
        if sample.HasField("cpu")
        else None,
        network=NetworkUsage(
            _interfaces(sample.network.internal) if sample.network.HasField("internal") else None,
            _interfaces(sample.network.external) if sample.network.HasField("external") else None,
        )
        if sample.HasField("network")
        else None,
    )


def _interfaces(usage: pb.InterfaceUsage) -> InterfaceUsage:
    names = most.labels(usage.interfaces)
    numbers = (usage.rx_bytes, usage.rx_bytes_per_second, usage.tx_bytes, usage.tx_bytes_per_second)
    return InterfaceUsage(names, *map(finite, numbers))


def memory_to_proto(value: MemoryUsage | None) -> pb.MemoryUsage | None:
    """Memory, absent when it was not measured."""
    return pb.MemoryUsage(**asdict(value)) if value else None


def usage_to_proto(node: Node) -> pb.ResourceUsage | None:
    """The newest sample of a node.

    A connected node always has one, with every load period and a filesystem called like its engine directory:
    the public client looks these up without asking (docs/spec/client_contract.md section 7).
    """
    sample = node.stats
    if sample is None and not node.connected:
        return None
    return pb.ResourceUsage(
        memory=memory_to_proto(sample.memory if sample else None),
        load=load_of(sample),
        filesystem=[
            pb.FilesystemUsage(**asdict(item)) for item in with_filesystem(sample, node.facts.engine_root_dir or "")
        ],
        cpu=pb.CpuUsage(**asdict(sample.cpu)) if sample and sample.cpu else None,
    )
