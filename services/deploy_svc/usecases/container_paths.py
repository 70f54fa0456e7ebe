"""From `grid/node/container` to the container, if the caller may reach it."""

from services.clients.grids import Grid, GridDirectory
from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.container import Container
from services.deploy_svc.store import containers as store
from services.kernel.audit import Resource
from services.kernel.db import Database
from services.kernel.errors import NotFound, required
from services.kernel.principal import Principal


class ContainerAccess:
    """Looks containers up by path: 404 before 403 for the grid, then the node, then the container."""

    def __init__(self, db: Database, grids: GridDirectory, nodes: NodeDirectory) -> None:
        self._db = db
        self._grids = grids
        self._nodes = nodes

    async def readable(self, principal: Principal, path: str) -> tuple[Grid, Node, Container]:
        """The container, for a member. Raises NotFound, Forbidden, NotFound."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        return grid, *await self._find(grid, path)

    async def changeable(self, principal: Principal, path: str) -> tuple[Grid, Node, Container]:
        """As `readable`, for a member who may change things."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        return grid, *await self._find(grid, path)

    async def node(self, principal: Principal, path: str) -> tuple[Grid, Node]:
        """The node `grid/node`, for a member."""
        grid_name, _, name = path.partition("/")
        grid = await self._grids.accessible(principal, grid_name)
        return grid, await self._node(grid, name)

    async def _find(self, grid: Grid, path: str) -> tuple[Node, Container]:
        _, *names = path.split("/")
        if len(names) != 2:
            raise NotFound
        node = await self._node(grid, names[0])
        async with self._db.read() as tx:
            return node, required(await store.find(tx, node.id, names[1]))

    async def _node(self, grid: Grid, name: str) -> Node:
        found = [node for node in await self._nodes.in_grid(grid.id) if node.name == name]
        if not found:
            raise NotFound
        return found[0]


def resource(grid: Grid, node: Node, container: Container) -> Resource:
    """The container as the audit trail names it."""
    return Resource(
        "Container", container.id, f"{node.name}/{container.name}", grid.id, grid.name, container.service_id or ""
    )
