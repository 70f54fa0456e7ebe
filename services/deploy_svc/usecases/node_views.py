"""Nodes as the scheduler looks at them."""

from collections.abc import Iterable

from services.clients.nodes import Node
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView


def views(nodes: Iterable[Node], monotonic: float) -> list[NodeView]:
    """What the scheduler looks at."""
    return [
        NodeView(
            id=node.id,
            name=node.name,
            number=node.number,
            labels=node.labels,
            connected=node.connected,
            availability=node.availability,
            cpus=node.cpus,
            mem_total=node.mem_total,
            memory=MemorySample(node.memory.used, node.memory.free, node.memory.cached, node.memory.buffers)
            if node.memory
            else None,
            offline_seconds=node.lost_seconds(monotonic),
            volume_drivers=node.volume_drivers,
        )
        for node in nodes
    ]
