"""Deploy, scale, start, stop and restart services; progress and history of deploys (sections 4.9, 4.10 and 6)."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

from services.deploy_svc.domain.deploy_progress import Line, of_service
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked, ServiceDeploy
from services.deploy_svc.domain.service_input import MOST_INSTANCES
from services.deploy_svc.store import event_logs, instances, tables
from services.deploy_svc.store import service_deploys as store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.usecases import deploy_cancels as cancels
from services.deploy_svc.usecases.deploy_following import follow
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.service_paths import resource
from services.kernel import audit
from services.kernel.db import Tx
from services.kernel.errors import NotFound, required
from services.kernel.ids import is_id
from services.kernel.listen import Wakes
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal
from services.kernel.validation import Checker


class ServiceDeploys(UseCases):
    """The use cases. Deploys are only queued here; the rollout loop works on them."""

    def __init__(self, parts: Parts, wakes: Wakes) -> None:
        """`wakes` are by the ids of deploys."""
        super().__init__(parts)
        self._wakes = wakes

    async def deploy(self, principal: Principal, path: str, *, force: bool) -> tuple[Service, ServiceDeploy]:
        """Queue a deploy and set the service running; `force` recreates its containers."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            await _locked(tx, found)
            await service_store.request_deploy(tx, found.id, bump=force)
            return await queue(tx, found, Asked("deploy", principal.email or None))

    async def scale(self, principal: Principal, path: str, count: int | None) -> tuple[Service, ServiceDeploy]:
        """Set the number of instances and queue a deploy; the revision stays. Raises ValidationFailed."""
        _, found = await self._access.changeable(principal, path)
        check = Checker()
        if count is None:
            check.fail("instances", "Instances can't be nil")
        wanted = check.number("instances", count, smallest=0, biggest=MOST_INSTANCES) or 0
        check.done()
        async with self._db.transaction() as tx:
            service = await _locked(tx, found)
            await service_store.update(tx, found.id, replace(service.spec, instances=wanted), bump=False)
            await service_store.request_deploy(tx, found.id, bump=False)
            return await queue(tx, found, Asked("scale", principal.email or None))

    async def start(self, principal: Principal, path: str) -> None:
        """Want the service and every instance running."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            await _locked(tx, found)
            await service_store.set_state(tx, found.id, "running")
            await instances.set_desired_state(tx, found.id, "running")
            await audit.record(tx, tables.outbox, "start", resource(found))

    async def stop(self, principal: Principal, path: str) -> None:
        """Want the service and every instance stopped; deploys in the queue end in error."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            await _locked(tx, found)
            await service_store.set_state(tx, found.id, "stopped")
            await instances.set_desired_state(tx, found.id, "stopped")
            await audit.record(tx, tables.outbox, "stop", resource(found))

    async def restart(self, principal: Principal, path: str) -> None:
        """Restart the containers of every placed instance once; no state changes."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            await _locked(tx, found)
            await instances.request_restart(tx, found.id)
            await audit.record(tx, tables.outbox, "restart", resource(found))

    async def get(self, principal: Principal, path: str, deploy_id: str) -> tuple[Service, ServiceDeploy]:
        """A deploy of the service. Raises NotFound, also for text that is no id."""
        _, service = await self._access.readable(principal, path)
        if not is_id(deploy_id):
            raise NotFound
        async with self._db.read() as tx:
            return service, await _deploy(tx, service.id, deploy_id)

    async def history(self, principal: Principal, path: str, page: Page) -> tuple[Service, Listing[ServiceDeploy]]:
        """The deploys of the service, newest first, without their instances."""
        _, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            return service, await store.history(tx, service.id, page)

    async def follow(self, principal: Principal, path: str, deploy_id: str) -> AsyncIterator[Sequence[Line]]:
        """How a deploy goes on, until it has ended; nothing for a while is an empty list. Raises NotFound."""

        async def look() -> tuple[Iterable[Line], bool]:
            service, deploy = await self.get(principal, path, deploy_id)
            return of_service(service.path, deploy), deploy.finished_at is not None

        async for lines in follow(self._wakes, deploy_id, look):
            yield lines

    async def cancel(self, principal: Principal, path: str, deploy_id: str) -> tuple[Service, ServiceDeploy]:
        """End a deploy; what runs stays. One that was canceled stays as it is. Raises NotFound, ValidationFailed when
        it ended by itself."""
        _, found = await self._access.changeable(principal, path)
        if not is_id(deploy_id):
            raise NotFound
        async with self._db.transaction() as tx:
            service = await _locked(tx, found)
            deploy = await _deploy(tx, found.id, deploy_id)
            if cancels.is_over(deploy):
                return service, deploy
            event = await cancels.cancel(tx, service, deploy, cancels.who(principal))
            await audit.record(tx, tables.outbox, "cancel_deploy", resource(found))
            canceled = await _deploy(tx, found.id, deploy_id)
            await event_logs.record(tx, event)
            return service, canceled


async def queue(tx: Tx, found: Service, asked: Asked) -> tuple[Service, ServiceDeploy]:
    """Queue a deploy of a locked service; the audit trail has what it came from."""
    deploy_id = await store.insert(tx, found.id, asked)
    await audit.record(tx, tables.outbox, asked.origin or "", resource(found))
    return await _locked(tx, found), await _deploy(tx, found.id, deploy_id)


async def _locked(tx: Tx, found: Service) -> Service:
    return required(await service_store.find_by_id(tx, found.id, lock=True))


async def _deploy(tx: Tx, service_id: str, deploy_id: str) -> ServiceDeploy:
    return required(await store.find(tx, service_id, deploy_id))
