"""Revisions of services: history, and the way back to one."""

from services.deploy_svc.domain.revision import Change, ServiceRevision, not_kept, service_changes, wanted_revision
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked, ServiceDeploy
from services.deploy_svc.store import revisions as store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.usecases.parts import UseCases
from services.deploy_svc.usecases.service_changes import Subject, as_before, everything
from services.deploy_svc.usecases.service_deploys import queue
from services.kernel import call
from services.kernel.errors import required
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal


class ServiceRevisions(UseCases):
    async def list(
        self, principal: Principal, path: str, page: Page
    ) -> Listing[tuple[ServiceRevision, tuple[Change, ...]]]:
        """The kept revisions, newest first, each with what it changed."""
        _, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            found = await store.OF_SERVICES.history(tx, service.id, page)
        shown = [(item, service_changes(was.version, item.version) if was else ()) for item, was in found]
        return Listing(shown, found.next)

    async def rollback(self, principal: Principal, path: str, number: int | None) -> tuple[Service, ServiceDeploy]:
        """Make the attributes of a kept revision those of the service, and queue a deploy. Raises ValidationFailed when
        it is not kept, or needs what is gone."""
        grid, found = await self._access.changeable(principal, path)
        number = wanted_revision(number)
        async with self._db.read() as tx:
            then = await store.OF_SERVICES.find(tx, found.id, number)
            if then is None:
                raise not_kept(number, await store.OF_SERVICES.numbers(tx, found.id))
        known = await self._vault.existing(grid, everything(then.version.spec).vault_names)
        async with self._db.transaction() as tx:
            service = required(await service_store.find_by_id(tx, found.id, lock=True))
            call.check_if_match(service.etag)
            made = await as_before(tx, self._access.hosts, Subject(principal, grid, service, known), then.version)
            if (made.spec, made.mounts) != (service.spec, service.mounts):
                await self._quotas.change_service(tx, grid.id, service.spec, made.spec)
                note = self._quotas.note(principal)
                await service_store.update(tx, service.id, made.spec, bump=True, mounts=made.mounts, note=note)
            await service_store.request_deploy(tx, service.id, bump=False)
            return await queue(tx, service, Asked("rollback", principal.email or None, str(number)))
