"""Nodes as the scheduler looks at them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.members import members

# When nobody listened for a while (we, or grid_svc, were down), every node looks late: its agent must be given the time
# to come back before the time it was away counts.
MISTRUST_SECONDS = 60.0
# How old the times of lost nodes may be.
_FRESH_SECONDS = 0.25


@dataclass(slots=True)
class _Lost:
    """A node that is not connected, and since when this process has seen that (monotonic)."""

    node: Node
    since: float


@dataclass(slots=True)
class _GridNodes:
    """The views of one grid, changed one by one as the nodes change. `seen` is the answer, None when it must be made
    anew; `at` is when the times of lost nodes were looked at."""

    views: dict[str, NodeView] = field(default_factory=dict)
    lost: dict[str, _Lost] = field(default_factory=dict)
    seen: tuple[NodeView, ...] | None = None
    at: float = 0.0


class NodeViews:
    """The nodes of grids, with how long each has been lost: the word of grid_svc, once this process has seen the node
    lost for `mistrust` seconds itself, and not more than it has seen before that."""

    def __init__(self, nodes: NodeDirectory, mistrust: float = MISTRUST_SECONDS) -> None:
        self._nodes = nodes
        self._mistrust = mistrust
        self._grids: dict[str, _GridNodes] = {}
        self._grid_of: dict[str, str] = {}
        nodes.informer.on_change(self._observe)

    async def in_grid(self, grid_id: str) -> Sequence[NodeView]:
        """The nodes of a grid by number. Raises Unavailable before the first snapshot."""
        await self._nodes.all()
        grid, now = self._grids.get(grid_id), time.monotonic()
        if grid is None:
            return ()
        if grid.lost and now - grid.at > _FRESH_SECONDS:
            for lost in grid.lost.values():
                self._show(grid, lost, now)
            grid.at = now
        if grid.seen is None:
            grid.seen = _by_number(grid.views.values())
        return grid.seen

    def _show(self, grid: _GridNodes, lost: _Lost, now: float) -> None:
        grid.views[lost.node.id] = replace(_view(lost.node), offline_seconds=self._offline_seconds(lost, now))
        grid.seen = None

    def _offline_seconds(self, lost: _Lost, now: float) -> float:
        seen = now - lost.since
        told = lost.node.lost_seconds(now)
        return told if seen >= self._mistrust else min(told, seen)

    def _observe(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, node):
                if self._grid_of.get(key, node.grid_id) != node.grid_id:
                    self._drop(key)
                self._grid_of[key] = node.grid_id
                self._put(self._grids.setdefault(node.grid_id, _GridNodes()), node)
            case Delete(key):
                self._drop(key)
            case Synced():
                pass

    def _put(self, grid: _GridNodes, node: Node) -> None:
        grid.seen = None
        if node.connected:
            grid.lost.pop(node.id, None)
            grid.views[node.id] = _view(node)
            return
        now, known = time.monotonic(), grid.lost.get(node.id)
        lost = grid.lost[node.id] = _Lost(node, known.since if known else now)
        self._show(grid, lost, now)

    def _drop(self, key: str) -> None:
        grid = self._grids.get(self._grid_of.pop(key, ""))
        if grid is not None:
            grid.views.pop(key, None)
            grid.lost.pop(key, None)
            grid.seen = None


def _by_number(views: Iterable[NodeView]) -> tuple[NodeView, ...]:
    return tuple(sorted(views, key=lambda view: view.number))


def _view(node: Node) -> NodeView:
    memory = MemorySample(**members(node.memory)) if node.memory else None
    return NodeView(
        **members(node, but=("grid_id", "memory", "session", "lost_at", "public_ip", "private_ip", "engine_id")),
        memory=memory,
    )
