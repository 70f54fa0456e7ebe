"""Services: list, create, get, update, delete (spec/deploy_rest.md sections 4.5, 4.8 and 4.9)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError

from services.clients.grids import Grid, GridDirectory
from services.clients.secrets import SecretResolver
from services.deploy_svc.domain import service_update as rules
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_input import Attributes, ServiceInput, parse
from services.deploy_svc.domain.service_view import ServiceView
from services.deploy_svc.store import instances, tables
from services.deploy_svc.store import services as store
from services.deploy_svc.usecases.service_paths import Access, resource
from services.kernel import audit
from services.kernel.db import Database, Tx, violated_constraint
from services.kernel.errors import NotFound, ValidationFailed
from services.kernel.principal import Principal
from services.kernel.validation import NAME

_NAME_TAKEN = {"name": "Service with this name already exists"}


class Services:
    """The use cases. Each mutation is one transaction: an error leaves nothing behind."""

    def __init__(self, db: Database, grids: GridDirectory, access: Access, secrets: SecretResolver) -> None:
        self._db = db
        self._grids = grids
        self._access = access
        self._secrets = secrets

    async def list(self, principal: Principal, grid_name: str, stack: str) -> list[ServiceView]:
        """The services of a grid or of one of its stacks, newest first. Raises NotFound for an unknown stack."""
        grid = await self._grids.accessible(principal, grid_name)
        if stack and NAME.fullmatch(stack) is None:
            raise NotFound("Stack not found")
        async with self._db.read() as tx:
            found = await store.list_by_grid(tx, grid.id, stack or None)
            if stack and stack != NULL_STACK and not found:
                raise NotFound("Stack not found")
            return await _views(tx, grid, found)

    async def get(self, principal: Principal, path: str) -> ServiceView:
        """One service."""
        grid, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            return (await _views(tx, grid, [service]))[0]

    async def create(self, principal: Principal, grid_name: str, attributes: Attributes) -> ServiceView:
        """A service outside any stack, in state `initialized`; nothing is deployed. Raises ValidationFailed."""
        grid = await self._grids.changeable(principal, grid_name)
        given = parse(attributes, creating=True)
        spec = rules.new_spec(given)
        name = given.name or ""
        errors = rules.problems(spec, given)
        errors |= rules.host_name_problems(given, name, f"{grid.name}.kontena.local")
        errors |= await self._secret_problems(grid, given)
        try:
            async with self._db.transaction() as tx:
                errors |= await _link_problems(tx, grid, given)
                if await store.existing(tx, grid.id, {(NULL_STACK, name)}):
                    errors |= _NAME_TAKEN
                _refuse(errors)
                service = await store.insert(
                    tx, grid_id=grid.id, grid=grid.name, stack=NULL_STACK, name=name, spec=spec
                )
                await audit.record(tx, tables.outbox, "create", resource(service))
                return (await _views(tx, grid, [service]))[0]
        except IntegrityError as error:
            if violated_constraint(error) == store.UNIQUE_NAME:
                raise ValidationFailed(_NAME_TAKEN) from None
            raise

    async def update(self, principal: Principal, path: str, attributes: Attributes) -> ServiceView:
        """Change the attributes that are given; the revision grows when that changes anything, or with `force`."""
        grid, found = await self._access.changeable(principal, path)
        given = parse(attributes, creating=False, stack=found.stack)
        errors = rules.host_name_problems(given, found.name, found.domainname)
        errors |= await self._secret_problems(grid, given)
        async with self._db.transaction() as tx:
            service = _still_there(await store.by_id(tx, found.id, lock=True))
            spec = rules.merge(service.spec, given, grid.default_affinity)
            errors |= rules.problems(spec, given, service.spec)
            errors |= await _link_problems(tx, grid, given)
            _refuse(errors)
            if spec != service.spec or given.force:
                service = await store.update(tx, service.id, spec, bump=True)
            await audit.record(tx, tables.outbox, "update", resource(service))
            return (await _views(tx, grid, [service]))[0]

    async def delete(self, principal: Principal, path: str) -> None:
        """Remove a service with its instances and deploys. Raises ValidationFailed while others link to it."""
        _, found = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            service = _still_there(await store.lock_for_deletion(tx, found.id))
            linkers = await store.linkers(tx, service.grid_id, service.stack, service.name)
            if linkers:
                raise ValidationFailed({"service": f"Cannot delete service that is linked to: {', '.join(linkers)}"})
            await instances.notify_nodes(tx, service.id)
            await store.delete(tx, service.id)
            await audit.record(tx, tables.outbox, "delete", resource(service))

    async def _secret_problems(self, grid: Grid, given: ServiceInput) -> dict[str, Any]:
        # Only the names count here; the values are dropped at once.
        known = frozenset(await self._secrets.resolve(grid.id, given.secret_names)) if given.secret_names else ()
        missing = [f"Secret {name} does not exist" for name in given.secret_names if name not in known]
        return {"secrets": missing} if missing else {}


async def _link_problems(tx: Tx, grid: Grid, given: ServiceInput) -> dict[str, Any]:
    """Links to what does not exist; what exists cannot be deleted before the transaction ends."""
    links = [(link.stack, link.service) for link in given.links or ()]
    known = await store.existing(tx, grid.id, links, lock=True)
    missing = [link for link in dict.fromkeys(links) if link not in known]
    if not missing:
        return {}
    stacks = await store.stacks(tx, grid.id, {stack for stack, _ in missing}) | {NULL_STACK}
    texts = [
        f"Service {stack}/{name} does not exist" if stack in stacks else f"Stack {stack} does not exist"
        for stack, name in missing
    ]
    return {"links": texts}


async def _views(tx: Tx, grid: Grid, found: Sequence[Service]) -> list[ServiceView]:
    """What answers show of the services, in two queries however many they are."""
    counts = await instances.counts(tx, [service.id for service in found])
    linked = {(link.stack, link.service) for service in found for link in service.spec.links}
    targets = await store.existing(tx, grid.id, linked)
    return [
        ServiceView(
            service,
            links=tuple(link for link in service.spec.links if (link.stack, link.service) in targets),
            affinity=service.spec.affinity or grid.default_affinity,
            total=counts[service.id].total,
            running=counts[service.id].running,
            healthy=counts[service.id].healthy,
            unhealthy=counts[service.id].unhealthy,
        )
        for service in found
    ]


def _still_there(service: Service | None) -> Service:
    if service is None:
        raise NotFound
    return service


def _refuse(errors: dict[str, Any]) -> None:
    if errors:
        raise ValidationFailed(errors)
