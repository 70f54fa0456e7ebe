"""Dry run of a stack: what a document would do. Nothing is written."""

from functools import partial

from services.clients.grids import Grid
from services.deploy_svc.domain import stack_input
from services.deploy_svc.domain.stack import Document, Stack
from services.deploy_svc.domain.stack_input import Attributes
from services.deploy_svc.domain.stack_plan import PlannedService, StackPlan
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.usecases import service_checks
from services.deploy_svc.usecases import stack_checks as checks
from services.deploy_svc.usecases.dry_runs import DryRuns
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.stack_checks import Prepared
from services.deploy_svc.usecases.stacks import refuse_taken
from services.kernel.db import Tx
from services.kernel.principal import Principal


class StackPlans(UseCases):
    """The use cases. They check like create, update and deploy do, and raise the same errors."""

    def __init__(self, parts: Parts, dry_runs: DryRuns) -> None:
        super().__init__(parts)
        self._dry_runs = dry_runs

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
            services = await self._planned(tx, grid, given.name, made)
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
            stack, current = checks.still_there(await stack_store.find(tx, grid.id, name))
            existing = await service_store.of_grid(tx, grid.id, name)
            allow = partial(self._hosts.check_spec, principal, grid)
            made = await checks.prepare(tx, grid, name, given.over(current), existing, known=known, allow=allow)
            services = await self._planned(tx, grid, name, made)
        return StackPlan(stack.path, _next_revision(stack, current, made.document), services)

    async def _planned(self, tx: Tx, grid: Grid, stack: str, made: Prepared) -> tuple[PlannedService, ...]:
        planned = await self._dry_runs.planned(tx, grid, stack, made.services)
        return (*planned, *(PlannedService(service.name, "remove") for service in made.surplus))


def _next_revision(stack: Stack, current: Document, wanted: Document) -> int:
    same = checks.without_revision(current) == checks.without_revision(wanted)
    return stack.revision if same else stack.revision + 1
