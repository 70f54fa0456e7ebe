"""Reading container logs, once or as they arrive (docs/spec/deploy_rest.md section 7)."""

from services.clients.grids import Grid, GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.log_line import StoredLine
from services.deploy_svc.domain.log_scope import LogScope, names
from services.deploy_svc.store import log_reading as store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.usecases.container_paths import ContainerAccess
from services.deploy_svc.usecases.following import Reader
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database
from services.kernel.listen import Wakes
from services.kernel.principal import Principal


class ContainerLogs:
    """The use cases: every check happens when a scope is made, before the first line leaves."""

    def __init__(
        self,
        db: Database,
        grids: GridDirectory,
        nodes: NodeDirectory,
        access: tuple[Access, ContainerAccess],
        wakes: Wakes,
    ) -> None:
        self._db = db
        self._grids = grids
        self._nodes = nodes
        self._access, self._containers = access
        self.reader: Reader[LogScope, StoredLine] = Reader(db, wakes, store.select, store.newest_id)

    async def service(self, principal: Principal, path: str) -> LogScope:
        """The lines of a service."""
        grid, service = await self._access.readable(principal, path)
        return LogScope(grid.id, grid.name, service_ids=frozenset({service.id}))

    async def stack(self, principal: Principal, path: str) -> LogScope:
        """The lines of a stack. Raises NotFound for an unknown one."""
        grid, stack = await self._access.stack(principal, path)
        return LogScope(grid.id, grid.name, stack=stack)

    async def container(self, principal: Principal, path: str) -> LogScope:
        """The lines of one container."""
        grid, node, container = await self._containers.readable(principal, path)
        return LogScope(grid.id, grid.name, node_ids=frozenset({node.id}), container_id=container.container_id)

    async def grid(
        self, principal: Principal, grid_name: str, *, containers: str, nodes: str, services: str
    ) -> LogScope:
        """The lines of a grid, or of those of the named containers, nodes and services that exist."""
        grid = await self._grids.accessible(principal, grid_name)
        wanted = names(containers)
        return LogScope(
            grid.id,
            grid.name,
            service_ids=await self._services(grid, names(services)),
            node_ids=await node_ids(self._nodes, grid, names(nodes)),
            container_names=None if wanted is None else frozenset(wanted),
        )

    async def _services(self, grid: Grid, wanted: tuple[str, ...] | None) -> frozenset[str] | None:
        if wanted is None:
            return None
        async with self._db.read() as tx:
            return frozenset(await service_store.resolve(tx, grid.id, wanted))


async def node_ids(nodes: NodeDirectory, grid: Grid, wanted: tuple[str, ...] | None) -> frozenset[str] | None:
    """Ids of those of the named nodes that exist; None when no filter was given."""
    if wanted is None:
        return None
    return frozenset(node.id for node in await nodes.in_grid(grid.id) if node.name in wanted)
