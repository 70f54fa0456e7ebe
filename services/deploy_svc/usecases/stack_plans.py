"""Dry run of a stack: what a document would do. Nothing is written."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from services.clients.grids import Grid, GridDirectory
from services.deploy_svc.domain import stack_changes, stack_input
from services.deploy_svc.domain.rollout_plan import Limits
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.stack import Document, Stack
from services.deploy_svc.domain.stack_changes import Wanted
from services.deploy_svc.domain.stack_input import Attributes
from services.deploy_svc.domain.stack_plan import PlannedService, StackPlan, place
from services.deploy_svc.store import recorded as record_store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.store.placement_facts import held_volumes, memory_need
from services.deploy_svc.usecases import service_checks
from services.deploy_svc.usecases import stack_checks as checks
from services.deploy_svc.usecases.host_access import HostAccess
from services.deploy_svc.usecases.node_views import NodeViews
from services.deploy_svc.usecases.stack_checks import Prepared
from services.deploy_svc.usecases.stacks import refuse_taken
from services.deploy_svc.usecases.vault_directory import VaultDirectory
from services.kernel.db import Database, Tx
from services.kernel.principal import Principal


class StackPlans:
    """The use cases. They check like create, update and deploy do, and raise the same errors."""

    def __init__(
        self,
        db: Database,
        grids: GridDirectory,
        nodes: NodeViews,
        vault: VaultDirectory,
        limits: Limits,
        *,
        hosts: HostAccess,
    ) -> None:
        self._db = db
        self._hosts = hosts
        self._grids = grids
        self._nodes = nodes
        self._vault = vault
        self._limits = limits

    async def create(self, principal: Principal, grid_name: str, attributes: Attributes) -> StackPlan:
        """What creating and deploying a stack would do."""
        grid = await self._grids.changeable(principal, grid_name)
        given = stack_input.parse(attributes, creating=True)
        known = await self._vault.existing(grid, checks.vault_names(given.document))
        async with self._db.read() as tx:
            await refuse_taken(tx, grid, given.name)
            service_checks.refuse(stack_input.problems(given))
            allow = partial(self._hosts.check_spec, principal, grid)
            made = await checks.prepare(tx, grid, given.name, given.document, (), known=known, allow=allow)
            services = await self._services(tx, grid, given.name, made)
        return StackPlan(f"{grid.name}/{given.name}", 1, services)

    async def update(self, principal: Principal, path: str, attributes: Attributes) -> StackPlan:
        """What a new document would do when it was stored and deployed."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        given = stack_input.parse(attributes, creating=False)
        checks.refuse_null(name, "changed")
        service_checks.refuse(stack_input.problems(given))
        known = await self._vault.existing(grid, checks.vault_names(given.document))
        async with self._db.read() as tx:
            stack, current = checks.still_there(await stack_store.get(tx, grid.id, name))
            existing = await service_store.list_by_grid(tx, grid.id, name)
            allow = partial(self._hosts.check_spec, principal, grid)
            made = await checks.prepare(tx, grid, name, given.over(current), existing, known=known, allow=allow)
            services = await self._services(tx, grid, name, made)
        return StackPlan(stack.path, _next_revision(stack, current, made.document), services)

    async def _services(self, tx: Tx, grid: Grid, stack: str, made: Prepared) -> tuple[PlannedService, ...]:
        recorded = await record_store.in_grid(tx, grid.id)
        nodes: Sequence[NodeView] = [
            node.with_recorded(*recorded.get(node.id, ())) for node in await self._nodes.in_grid(grid.id)
        ]
        planned = []
        for item in made.services:
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
        return (*planned, *(PlannedService(service.name, "remove") for service in made.surplus))


def _next_revision(stack: Stack, current: Document, wanted: Document) -> int:
    same = checks.without_revision(current) == checks.without_revision(wanted)
    return stack.revision if same else stack.revision + 1


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
