"""Services: list, create, get, update, delete (docs/spec/deploy_rest.md sections 4.5, 4.8 and 4.9)."""

from services.deploy_svc.domain import service_update as rules
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.service_input import Attributes, parse
from services.deploy_svc.domain.service_view import ServiceView, ShownService
from services.deploy_svc.store import instances, service_versions, stacks, tables
from services.deploy_svc.store import services as store
from services.deploy_svc.usecases import service_checks as checks
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.service_changes import Subject, updated
from services.deploy_svc.usecases.service_paths import new_resource, resource
from services.deploy_svc.usecases.service_reads import ServiceReads
from services.kernel import audit, call
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.ids import new_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.kernel.validation import NAME

_NAME_TAKEN = {"name": "Service with this name already exists"}


class Services(UseCases):
    """The use cases. Each mutation is one transaction: an error leaves nothing behind."""

    def __init__(self, parts: Parts, reads: ServiceReads) -> None:
        super().__init__(parts)
        self._reads = reads

    async def list(self, principal: Principal, grid_name: str, stack: str, page: Page = WHOLE) -> Listing[ShownService]:
        """The services of a grid or of one of its stacks, newest first. Raises NotFound for an unknown stack."""
        grid = await self._grids.accessible(principal, grid_name)
        if stack and NAME.fullmatch(stack) is None:
            raise NotFound("Stack not found")
        found = await service_versions.of_grid(self._db, grid.id, {stack} if stack else None, page)
        if stack and not found:
            async with self._db.read() as tx:
                if stack not in await stacks.existing(tx, grid.id, {stack}):
                    raise NotFound("Stack not found")
        return Listing(await self._reads.shown(grid, found), found.next)

    async def get(self, principal: Principal, path: str) -> ShownService:
        grid, stack, name = await self._access.place(principal, path)
        return required(await self._reads.one(grid, stack, name))

    async def create(self, principal: Principal, grid_name: str, attributes: Attributes) -> ServiceView:
        """A service outside any stack, in state `initialized`; nothing is deployed. Raises ValidationFailed."""
        grid = await self._grids.changeable(principal, grid_name)
        given = parse(attributes, creating=True)
        spec = rules.new_spec(given)
        name = given.name or ""
        errors = rules.host_name_problems(given, name, f"{grid.name}.kontena.local")
        errors |= given.missing(await self._vault.existing(grid, given.vault_names))
        service_id = new_id()
        event = audit.event("create", new_resource(service_id, name, grid.id, grid.name))
        async with self._db.prepared() as tx:
            mounts = await checks.mounts(tx, grid, rules.volume_names(spec))
            self._access.hosts.check_spec(principal, grid, name, spec, mounts.values())
            errors |= rules.problems(spec, given, volumes=mounts)
            errors |= await checks.link_problems(tx, grid, given.links)
            # That the name is taken is told with what else is wrong; alone it shows in the insert.
            if errors and await store.existing(tx, grid.id, {(NULL_STACK, name)}):
                errors |= _NAME_TAKEN
            checks.refuse(errors)
            await self._quotas.add_service(tx, grid.id, spec)
            service = await store.insert(
                tx,
                grid_id=grid.id,
                grid=grid.name,
                stack=NULL_STACK,
                name=name,
                spec=spec,
                mounts=mounts.values(),
                note=self._quotas.note(principal),
                service_id=service_id,
                message=event,
            )
            if service is None:
                raise ValidationFailed(_NAME_TAKEN)
        return checks.new_view(grid, service)

    async def update(self, principal: Principal, path: str, attributes: Attributes) -> ServiceView:
        """Change the attributes that are given; the revision grows when that changes anything, or with `force`."""
        grid, found = await self._access.changeable(principal, path)
        given = parse(attributes, creating=False, stack=found.stack)
        known = await self._vault.existing(grid, given.vault_names)
        event = audit.event("update", resource(found))
        async with self._db.prepared() as tx:
            service = required(await store.find_by_id(tx, found.id, lock=True))
            call.check_if_match(service.etag)
            made = await updated(tx, self._access.hosts, Subject(principal, grid, service, known), given)
            if made.spec != service.spec or given.force:
                await self._quotas.change_service(tx, grid.id, service.spec, made.spec)
                note = self._quotas.note(principal)
                service = await store.update(
                    tx, service.id, made.spec, bump=True, mounts=made.mounts, note=note, message=event
                )
            else:
                await audit.record(tx, tables.outbox, "update", resource(service))
            return (await checks.views(tx, grid, [service]))[0]

    async def delete(self, principal: Principal, path: str) -> None:
        """Remove a service with its instances and deploys. Raises ValidationFailed while others link to it."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            service = required(await store.lock_for_deletion(tx, found.id))
            call.check_if_match(service.etag)
            linkers = await store.linkers(tx, service.grid_id, service.stack, service.name)
            if linkers:
                raise ValidationFailed(
                    {"service": f"Cannot delete service that is linked to another service: {', '.join(linkers)}"}
                )
            await instances.notify_nodes(tx, service.id)
            await store.delete(tx, service.id)
            await audit.record(tx, tables.outbox, "delete", resource(service))
