"""Containers as nodes reported them (docs/spec/deploy_rest.md section 10)."""

from dataclasses import dataclass

from services.clients.grids import Grid, GridDirectory
from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.container import Container
from services.deploy_svc.store import containers as store
from services.deploy_svc.usecases.container_paths import ContainerAccess
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class ContainerView:
    """What an answer shows of a container; `node` is None when it is not known any more."""

    grid: Grid
    node: Node | None
    container: Container


class Containers:
    def __init__(
        self, db: Database, grids: GridDirectory, nodes: NodeDirectory, access: Access, paths: ContainerAccess
    ) -> None:
        self._db = db
        self._grids = grids
        self._nodes = nodes
        self._access = access
        self._paths = paths

    async def of_grid(
        self, principal: Principal, grid_name: str, page: Page = WHOLE, *, everything: bool
    ) -> Listing[ContainerView]:
        """The running containers of a grid, or every record of it, oldest first; one query however many they are."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id, page, running_only=not everything)
        return await self._views(grid, found)

    async def of_service(self, principal: Principal, path: str, page: Page = WHOLE) -> Listing[ContainerView]:
        """The containers of a service, oldest first."""
        grid, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            found = await store.of_service(tx, service.id, page)
        return await self._views(grid, found)

    async def get(self, principal: Principal, path: str) -> ContainerView:
        return ContainerView(*await self._paths.readable(principal, path))

    async def _views(self, grid: Grid, found: Listing[Container]) -> Listing[ContainerView]:
        nodes = {node.id: node for node in await self._nodes.in_grid(grid.id)}
        return found.map(lambda container: ContainerView(grid, nodes.get(container.node_id), container))
