"""Deploys of stacks: requests, progress and history (docs/spec/deploy_rest.md sections 3.4 and 6.2)."""

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial

from services.clients.grids import Grid
from services.deploy_svc.domain.deploy_progress import Line, of_stack
from services.deploy_svc.domain.event import Event
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.stack import Stack
from services.deploy_svc.domain.stack_deploy import StackDeploy
from services.deploy_svc.domain.stack_rollout import Finish, Step, canceled, cannot_remove
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.store import event_logs, service_deploys, tables
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stack_deploys as store
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.usecases import deploy_cancels as cancels
from services.deploy_svc.usecases import stack_checks as checks
from services.deploy_svc.usecases.deploy_following import follow
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.stack_checks import Prepared
from services.deploy_svc.usecases.stacks import lock_services
from services.kernel import audit
from services.kernel.db import Tx
from services.kernel.errors import NotFound, Unavailable, required
from services.kernel.ids import is_id
from services.kernel.listen import Wakes
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal

_TRIES = 5


class StackDeploys(UseCases):
    """The use cases. The stack loop works on what is queued here."""

    def __init__(self, parts: Parts, wakes: Wakes) -> None:
        """`wakes` are by the ids of deploys."""
        super().__init__(parts)
        self._wakes = wakes

    async def deploy(self, principal: Principal, path: str) -> tuple[Stack, StackDeploy]:
        """Make every service what the latest document wants, and queue their deploys and the removal of the others.

        All or nothing: when one service cannot be made so, none is touched. Raises ValidationFailed. A service that
        others link to cannot be removed: then the deploy has ended in an error already, as it would later.
        """
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        checks.refuse_null(name, "deployed")
        for _ in range(_TRIES):
            async with self._db.read() as tx:
                seen, document = checks.still_there(await stack_store.find(tx, grid.id, name))
            known = await self._vault.existing(grid, checks.vault_names(document))
            async with self._db.transaction() as tx:
                stack, _ = checks.still_there(await stack_store.find(tx, grid.id, name, lock=True))
                if stack.revision == seen.revision:
                    asked = Asked("deploy", principal.email or None)
                    return stack, await self.queue(tx, principal, grid, stack, known=known, asked=asked)
        raise Unavailable("The stack changes all the time. Try again in a moment.")

    async def get(self, principal: Principal, path: str, deploy_id: str) -> tuple[Stack, StackDeploy]:
        """A deploy of the stack. Raises NotFound, also for text that is no id."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        if not is_id(deploy_id):
            raise NotFound
        async with self._db.read() as tx:
            stack = await stack_store.find(tx, grid.id, name)
            deploy = await store.find(tx, stack.id, deploy_id) if stack else None
        if stack is None or deploy is None:
            raise NotFound
        return stack, deploy

    async def history(self, principal: Principal, path: str, page: Page) -> tuple[Stack, Listing[StackDeploy]]:
        """The deploys of the stack, newest first, without those of its services. Raises NotFound."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        async with self._db.read() as tx:
            stack = required(await stack_store.find(tx, grid.id, name))
            return stack, await store.history(tx, stack.id, page)

    async def follow(self, principal: Principal, path: str, deploy_id: str) -> AsyncIterator[Sequence[Line]]:
        """How a deploy and those of its services go on, until it has ended; nothing for a while is an empty list.
        Raises NotFound."""

        async def look() -> tuple[Iterable[Line], bool]:
            _, deploy = await self.get(principal, path, deploy_id)
            return of_stack(deploy), deploy.finished_at is not None

        async for lines in follow(self._wakes, deploy_id, look):
            yield lines

    async def cancel(self, principal: Principal, path: str, deploy_id: str) -> tuple[Stack, StackDeploy]:
        """End a deploy and those of its services that are under way; what runs stays. One that was canceled stays as it
        is. Raises NotFound, ValidationFailed when it ended by itself."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        if not is_id(deploy_id):
            raise NotFound
        async with self._db.transaction() as tx:
            stack = required(await stack_store.find(tx, grid.id, name))
            deploy, steps = required(await store.lock(tx, stack.id, deploy_id))
            if cancels.is_over(deploy):
                return stack, required(await store.find(tx, stack.id, deploy_id))
            by = cancels.who(principal)
            events = await self._cancel_services(tx, principal, grid, steps)
            await store.end(tx, deploy_id, canceled(steps, by), canceled=True)
            await audit.record(tx, tables.outbox, "cancel_deploy", checks.resource(grid, stack, name))
            answer = required(await store.find(tx, stack.id, deploy_id))
            await event_logs.record(tx, *events)
            return stack, answer

    async def _cancel_services(self, tx: Tx, principal: Principal, grid: Grid, steps: tuple[Step, ...]) -> list[Event]:
        begun = {step.service_id: step.service_deploy_id for step in steps if step.service_deploy_id}
        events = []
        # In one order for everybody, so that two transactions never wait for one another.
        for service_id, service_deploy_id in sorted(begun.items()):
            service = await service_store.find_by_id(tx, service_id, lock=True)
            deploy = await service_deploys.find(tx, service_id, service_deploy_id)
            if service is None or deploy is None or deploy.finished_at is not None:
                continue
            self._hosts.check_service(principal, grid, service)
            events.append(await cancels.cancel(tx, service, deploy, cancels.who(principal)))
        return events

    async def queue(
        self, tx: Tx, principal: Principal, grid: Grid, stack: Stack, *, known: VaultNames, asked: Asked
    ) -> StackDeploy:
        """Make every service what the document of a locked stack wants, and queue the deploy, all or nothing. `known`
        is what the vault has of what the document names. Raises ValidationFailed, Forbidden."""
        stack, document = checks.still_there(stack)
        allow, note = partial(self._hosts.check_spec, principal, grid), self._quotas.note(principal)
        current = await lock_services(tx, grid, stack.name)
        made = await checks.prepare(tx, grid, stack.name, document, current, known=known, allow=allow, deploying=True)
        if made.held:
            return await self._failed(tx, grid, stack, made, asked)
        for item in made.services:
            if item.action == "create":
                await self._quotas.add_service(tx, grid.id, item.spec, f"services.{item.name}.")
        services = [await checks.write_wanted(tx, grid, stack.name, item, note) for item in made.services]
        await service_store.set_stack_revision(tx, [service.id for service in services], stack.revision)
        deploy = await store.insert(tx, stack, services, made.surplus, asked)
        await audit.record(tx, tables.outbox, asked.origin or "", checks.resource(grid, stack, stack.name))
        return deploy

    async def _failed(self, tx: Tx, grid: Grid, stack: Stack, made: Prepared, asked: Asked) -> StackDeploy:
        name, linkers = next(iter(made.held.items()))
        deploy = await store.insert(tx, stack, (), made.surplus, asked)
        await store.end(tx, deploy.id, Finish("error", cannot_remove(name, linkers)))
        await audit.record(tx, tables.outbox, asked.origin or "", checks.resource(grid, stack, stack.name))
        ended = await store.find(tx, stack.id, deploy.id)
        return ended or deploy
