"""Nodes as the scheduler looks at them."""

import time

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView
from services.kernel.informer import Change, Delete, Synced, Upsert

# When nobody listened for a while (we, or grid_svc, were down), every node looks late: its agent must be given the time
# to come back before the time it was away counts.
MISTRUST_SECONDS = 60.0


class NodeViews:
    """The nodes of grids, with how long each has been lost: the word of grid_svc, once this process has seen the node
    lost for `mistrust` seconds itself, and not more than it has seen before that."""

    def __init__(self, nodes: NodeDirectory, mistrust: float = MISTRUST_SECONDS) -> None:
        self._nodes = nodes
        self._mistrust = mistrust
        self._lost_since: dict[str, float] = {}
        nodes.informer.on_change(self._observe)

    async def in_grid(self, grid_id: str) -> list[NodeView]:
        """The nodes of a grid by number. Raises Unavailable before the first snapshot."""
        now = time.monotonic()
        return [_view(node, self._offline_seconds(node, now)) for node in await self._nodes.in_grid(grid_id)]

    def _offline_seconds(self, node: Node, now: float) -> float:
        if node.connected:
            return 0.0
        seen = now - self._lost_since.get(node.id, now)
        return node.lost_seconds(now) if seen >= self._mistrust else min(node.lost_seconds(now), seen)

    def _observe(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, node) if not node.connected:
                self._lost_since.setdefault(key, time.monotonic())
            case Upsert(key, _) | Delete(key):
                self._lost_since.pop(key, None)
            case Synced():
                pass


def _view(node: Node, offline_seconds: float) -> NodeView:
    memory = node.memory
    return NodeView(
        id=node.id,
        name=node.name,
        number=node.number,
        labels=node.labels,
        connected=node.connected,
        availability=node.availability,
        cpus=node.cpus,
        mem_total=node.mem_total,
        memory=MemorySample(memory.used, memory.free, memory.cached, memory.buffers) if memory else None,
        offline_seconds=offline_seconds,
        volume_drivers=node.volume_drivers,
    )
