"""Reads of stacks: put together from parts that are kept, as those of services are."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from services.clients.grids import Grid
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.service_view import ShownService
from services.deploy_svc.domain.stack import Kin, ShownStack, Stack, StackPart, state_of
from services.deploy_svc.store import service_versions, stack_versions
from services.deploy_svc.store.stack_versions import CurrentStack
from services.deploy_svc.usecases.service_reads import ServiceReads
from services.kernel.db import Database
from services.kernel.kept import Kept, Version
from services.kernel.pages import Listing, Page


class StackReads:
    """What answers show of stacks. Inside `one_transaction` also what it has written."""

    def __init__(self, db: Database, services: ServiceReads, part: Callable[[Stack], StackPart]) -> None:
        self._db = db
        self._services = services
        self._part = part
        self._kept = Kept(part)

    async def one(self, grid: Grid, name: str) -> ShownStack | None:
        """The stack with a name; None when there is none. `null` is the one of the services that belong to none."""
        if name == NULL_STACK:
            return await self._null(grid)
        found = await stack_versions.one(self._db, grid.id, name)
        part = (await self._parts([found.current])).get(found.current.id) if found else None
        if found is None or part is None:
            return None
        services = await self._services.shown(grid, found.services)
        return ShownStack(part, state_of(services, found.deploying), services, found.kin)

    async def of_grid(self, grid: Grid, page: Page) -> Listing[ShownStack]:
        """The stacks of a grid in the order of creation, without the `null` stack: as many statements for one as for
        many."""
        found = await stack_versions.of_grid(self._db, grid.id, page)
        family = await stack_versions.parents(self._db, grid.id)
        current = await service_versions.of_grid(self._db, grid.id, [stack.name for stack in found])
        services = await self._services.shown(grid, current)
        return Listing(await self._shown(found, services, family), found.next)

    async def _null(self, grid: Grid) -> ShownStack:
        part = self._part(Stack("", grid.id, grid.name, NULL_STACK, None, 1, None, None, None, None))
        current = await service_versions.of_stack(self._db, grid.id, NULL_STACK)
        services = await self._services.shown(grid, current)
        deploying = await stack_versions.deploying(self._db, [service.id for service in services])
        return ShownStack(part, state_of(services, deploying), services)

    async def _shown(
        self, found: Sequence[CurrentStack], services: Sequence[ShownService], family: Mapping[str, str | None]
    ) -> list[ShownStack]:
        deploying = await stack_versions.deploying(self._db, [service.id for service in services])
        parts = await self._parts(found)
        of_stack: dict[str, list[ShownService]] = defaultdict(list)
        for service in reversed(services):
            of_stack[service.part.stack].append(service)
        children: dict[str | None, list[str]] = defaultdict(list)
        for name, parent in family.items():
            children[parent].append(name)
        return [
            ShownStack(
                part,
                state_of(of_stack[stack.name], deploying),
                of_stack[stack.name],
                Kin(part.parent_name in family, tuple(children[stack.name])),
            )
            for stack in found
            if (part := parts.get(stack.id)) is not None
        ]

    async def _parts(self, found: Sequence[CurrentStack]) -> dict[str, StackPart]:
        return await self._kept.of({stack.id: stack.version for stack in found}, self._load)

    async def _load(self, ids: Sequence[str]) -> list[tuple[str, Version, Stack]]:
        async with self._db.read() as tx:
            return await stack_versions.load(tx, ids)
