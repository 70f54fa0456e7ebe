"""Where a deploy would place what, if it began now. Nothing is written."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.clients.grids import Grid
from services.deploy_svc.clients.node_views import NodeViews
from services.deploy_svc.domain import stack_changes
from services.deploy_svc.domain.rollout_plan import Limits
from services.deploy_svc.domain.scheduling.pipeline import effective_affinity
from services.deploy_svc.domain.scheduling.rebalance import Rebalance, rebalance
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.stack_changes import Wanted
from services.deploy_svc.domain.stack_plan import PlannedService, place
from services.deploy_svc.store.placement_facts import held_volumes, memory_need, recorded_in_grid
from services.kernel.db import Tx


class World:
    """The nodes of a grid with all that is on them, for questions about services that exist."""

    def __init__(
        self, grid: Grid, nodes: Sequence[NodeView], volumes: Mapping[tuple[str, str], frozenset[str]]
    ) -> None:
        self._grid = grid
        self._nodes = nodes
        self._volumes = volumes

    async def rebalance(self, tx: Tx, service: Service) -> Rebalance:
        """What would move of the service."""
        nodes = self._nodes
        if any(mount.scope == "instance" for mount in service.mounts):
            nodes = [node.with_volumes(self._volumes.get((service.id, node.id))) for node in nodes]
        affinity = effective_affinity(service, self._grid.default_affinity)
        found = rebalance(service, nodes, affinity)
        if not found.moves or not (need := await memory_need(tx, service)):
            return found
        return rebalance(service, nodes, affinity, need)


class DryRuns:
    """Asks the scheduler on the nodes as they are."""

    def __init__(self, nodes: NodeViews, limits: Limits) -> None:
        self._nodes = nodes
        self._limits = limits

    async def planned(self, tx: Tx, grid: Grid, stack: str, services: Sequence[Wanted]) -> tuple[PlannedService, ...]:
        """What a deploy of the services, in this order, would do now."""
        nodes = await self._seen(tx, grid)
        planned = []
        for item in services:
            service = _service(grid, stack, item)
            volumes = await held_volumes(tx, [service])
            seen = [replace(node, volumes=volumes.get((service.id, node.id), frozenset())) for node in nodes]
            need = await memory_need(tx, service)
            placed = place(service, seen, grid.default_affinity, need, self._limits.offline)
            nodes = placed.nodes
            changes = tuple(stack_changes.differences(item))
            planned.append(PlannedService(item.name, item.action, changes, placed.placements, placed.reason))
            # Placing is computing: others must get their turn in between.
            await asyncio.sleep(0)
        return tuple(planned)

    async def world(self, tx: Tx, grid: Grid, services: Sequence[Service]) -> World:
        """As it is now, for these services."""
        return World(grid, await self._seen(tx, grid), await held_volumes(tx, services))

    async def _seen(self, tx: Tx, grid: Grid) -> Sequence[NodeView]:
        recorded = await recorded_in_grid(tx, grid.id)
        return [node.with_recorded(*recorded.get(node.id, ())) for node in await self._nodes.in_grid(grid.id)]


def _service(grid: Grid, stack: str, wanted: Wanted) -> Service:
    """The service as the deploy would find it."""
    if wanted.current is not None:
        return replace(wanted.current, spec=wanted.spec, mounts=wanted.mounts, exposed=wanted.exposed)
    never = datetime.min.replace(tzinfo=UTC)
    return Service(
        id=f"new {wanted.name}",
        grid_id=grid.id,
        grid=grid.name,
        stack=stack,
        name=wanted.name,
        spec=wanted.spec,
        state="running",
        revision=1,
        stack_revision=None,
        restarts=0,
        deployed_at=None,
        created_at=never,
        updated_at=never,
        exposed=wanted.exposed,
        mounts=wanted.mounts,
    )
