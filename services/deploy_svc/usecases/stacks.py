"""Stacks: list, create, get, update, delete (docs/spec/deploy_rest.md section 3)."""

from functools import partial

from services.clients.grids import Grid
from services.deploy_svc.domain import stack_input as rules
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.stack import ShownStack, Stack
from services.deploy_svc.domain.stack_input import Attributes
from services.deploy_svc.store import instances, stack_deploys, tables
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stacks as store
from services.deploy_svc.usecases import service_checks
from services.deploy_svc.usecases import stack_checks as checks
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.stack_reads import StackReads
from services.kernel import audit, call
from services.kernel.db import Tx
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal


class Stacks(UseCases):
    """The use cases. Each mutation is one transaction: an error leaves nothing behind."""

    def __init__(self, parts: Parts, reads: StackReads) -> None:
        super().__init__(parts)
        self._reads = reads

    async def list(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[ShownStack]:
        """The stacks of a grid in the order of creation, without the `null` stack."""
        grid = await self._grids.accessible(principal, grid_name)
        return await self._reads.of_grid(grid, page)

    async def get(self, principal: Principal, path: str) -> ShownStack:
        """One stack; `null` is the one of the services that belong to none."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        return required(await self._reads.one(grid, checks.stack_name(path)))

    async def create(self, principal: Principal, grid_name: str, attributes: Attributes) -> ShownStack:
        """A stack with its services in state `initialized`; nothing is deployed. Raises ValidationFailed."""
        grid = await self._grids.changeable(principal, grid_name)
        given, note = rules.parse(attributes, creating=True), self._quotas.note(principal)
        known = await self._vault.existing(grid, checks.vault_names(given.document))
        async with self._db.one_transaction() as tx:
            await refuse_taken(tx, grid, given.name)
            service_checks.refuse(rules.problems(given))
            allow = partial(self._hosts.check_spec, principal, grid)
            made = await checks.prepare(tx, grid, given.name, given.document, (), known=known, allow=allow)
            await self._quotas.add_stack(tx, grid.id, made.document)
            inserted = await store.insert(
                tx,
                grid_id=grid.id,
                grid=grid.name,
                name=given.name,
                parent_name=given.parent_name,
                document=made.document,
                note=note,
            )
            if not inserted:
                raise ValidationFailed(rules.NAME_TAKEN)
            for service in made.services:
                await self._quotas.add_service(tx, grid.id, service.spec, f"services.{service.name}.")
                await checks.write_wanted(tx, grid, given.name, service, note)
            stack = await store.find(tx, grid.id, given.name)
            await audit.record(tx, tables.outbox, "create", checks.resource(grid, stack, given.name))
            return required(await self._reads.one(grid, given.name))

    async def update(self, principal: Principal, path: str, attributes: Attributes) -> ShownStack:
        """Store a new document as a new revision, unless it says the same; new services are made at once.

        Other services change, or go away, at the next deploy.
        """
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        if name != NULL_STACK:
            async with self._db.read() as tx:
                required(await store.find(tx, grid.id, name))
        given, note = rules.parse(attributes, creating=False), self._quotas.note(principal)
        checks.refuse_null(name, "changed")
        service_checks.refuse(rules.problems(given))
        known = await self._vault.existing(grid, checks.vault_names(given.document))
        async with self._db.one_transaction() as tx:
            stack, current = checks.still_there(await store.find(tx, grid.id, name, lock=True))
            call.check_if_match(stack.etag)
            services = await service_store.of_grid(tx, grid.id, name)
            allow = partial(self._hosts.check_spec, principal, grid)
            made = await checks.prepare(tx, grid, name, given.over(current), services, known=known, allow=allow)
            if checks.without_revision(made.document) != checks.without_revision(current):
                await self._quotas.change_stack(tx, grid.id, current, made.document)
                await store.revise(tx, stack, made.document, note)
                for service in made.services:
                    if service.action == "create":
                        await self._quotas.add_service(tx, grid.id, service.spec, f"services.{service.name}.")
                        await checks.write_wanted(tx, grid, name, service, note)
            await audit.record(tx, tables.outbox, "update", checks.resource(grid, stack, name))
            return required(await self._reads.one(grid, name))

    async def delete(self, principal: Principal, path: str) -> None:
        """Ask for the removal of the stack and its services. Raises ValidationFailed while other stacks link to it."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        checks.refuse_null(name, "deleted")
        async with self._db.transaction() as tx:
            stack = required(await store.find(tx, grid.id, name, lock=True))
            call.check_if_match(stack.etag)
            services = await service_store.of_grid(tx, grid.id, name)
            for service in services:
                self._hosts.check_service(principal, grid, service)
            linkers = sorted({one for item in services for one in await checks.foreign_linkers(tx, item)})
            if linkers:
                raise ValidationFailed(
                    {"service": f"Cannot delete stack that is linked to another service: {', '.join(linkers)}"}
                )
            await stack_deploys.abort(tx, stack.id, f"Aborted: the stack {stack.path} is being removed")
            await store.request_removal(tx, stack)
            await audit.record(tx, tables.outbox, "delete", checks.resource(grid, stack, name))

    async def stop(self, principal: Principal, path: str) -> None:
        """Want every service of the stack stopped; its deploys end, whatever step they are in. Works on `null` too."""
        grid, name = await self._changeable(principal, path)
        async with self._db.transaction() as tx:
            stack = await _locked_stack(tx, grid, name)
            if stack is not None:
                await stack_deploys.abort(tx, stack.id, f"Aborted: the stack {stack.path} was stopped")
            services = await lock_services(tx, grid, name)
            for service in services:
                self._hosts.check_service(principal, grid, service)
                await service_store.set_state(tx, service.id, "stopped")
                await instances.set_desired_state(tx, service.id, "stopped")
            await audit.record(tx, tables.outbox, "stop", checks.resource(grid, stack, name))

    async def restart(self, principal: Principal, path: str) -> None:
        """Restart the containers of every service of the stack once; works on `null` too."""
        grid, name = await self._changeable(principal, path)
        async with self._db.transaction() as tx:
            stack = await _locked_stack(tx, grid, name)
            services = await lock_services(tx, grid, name)
            for service in services:
                self._hosts.check_service(principal, grid, service)
                await instances.request_restart(tx, service.id)
            await audit.record(tx, tables.outbox, "restart", checks.resource(grid, stack, name))

    async def _changeable(self, principal: Principal, path: str) -> tuple[Grid, str]:
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        return grid, checks.stack_name(path)


async def refuse_taken(tx: Tx, grid: Grid, name: str) -> None:
    """Raise ValidationFailed when a stack, or services of one, have the name."""
    if await store.existing(tx, grid.id, [name]) or await service_store.stacks(tx, grid.id, [name]):
        raise ValidationFailed(rules.NAME_TAKEN)


async def lock_services(tx: Tx, grid: Grid, name: str) -> list[Service]:
    """The services of a stack, locked in one order for everybody."""
    ids = sorted(service.id for service in await service_store.of_grid(tx, grid.id, name))
    found = [await service_store.find_by_id(tx, service_id, lock=True) for service_id in ids]
    return [service for service in found if service is not None]


async def _locked_stack(tx: Tx, grid: Grid, name: str) -> Stack | None:
    """The stack, locked; None for that of services that belong to none. Raises NotFound."""
    stack = await store.find(tx, grid.id, name, lock=True)
    if stack is None and name != NULL_STACK:
        raise NotFound
    return stack
