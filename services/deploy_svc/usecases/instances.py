"""Instances of services (docs/spec/deploy_rest.md section 5)."""

from services.clients.grids import Grid
from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.store import instances as store
from services.deploy_svc.store import tables
from services.deploy_svc.usecases.service_paths import Access, resource
from services.kernel import audit
from services.kernel.db import Database
from services.kernel.errors import NotFound
from services.kernel.ids import is_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal

# An instance with its grid and its node, None when it is on none.
Placed = tuple[Grid, Instance, Node | None]


class Instances:
    def __init__(self, db: Database, nodes: NodeDirectory, access: Access) -> None:
        self._db = db
        self._nodes = nodes
        self._access = access

    async def of_service(self, principal: Principal, path: str, page: Page = WHOLE) -> Listing[Placed]:
        """The instances of a service by number."""
        grid, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            found = await store.of_service(tx, service.id, page)
        return Listing([await self._placed(grid, instance) for instance in found], found.next)

    async def get(self, principal: Principal, path: str, instance_id: str) -> Placed:
        grid, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            found = await store.of_service(tx, service.id) if is_id(instance_id) else []
        for instance in found:
            if instance.id == instance_id:
                return await self._placed(grid, instance)
        raise NotFound

    async def detach(self, principal: Principal, path: str, instance_id: str) -> None:
        """Take an instance off its node, which removes its container; the record stays and is placed again later."""
        _, service = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            if not is_id(instance_id) or not await store.detach(tx, service.id, instance_id):
                raise NotFound
            await audit.record(tx, tables.outbox, "delete_instance", resource(service))

    async def _placed(self, grid: Grid, instance: Instance) -> Placed:
        node = None if instance.node_id is None else await self._nodes.by_id(instance.node_id)
        return grid, instance, node
