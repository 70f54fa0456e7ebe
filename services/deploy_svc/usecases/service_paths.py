"""From `grid/stack/service` to the service or stack, if the caller may reach it: 404 before 403, then the child."""

from services.clients.grids import Grid, GridDirectory
from services.deploy_svc.domain.service import Service
from services.deploy_svc.store import services as store
from services.deploy_svc.store import stacks
from services.deploy_svc.usecases.host_access import HostAccess
from services.kernel.audit import Resource
from services.kernel.db import Database
from services.kernel.errors import NotFound, required
from services.kernel.principal import Principal
from services.kernel.validation import NAME


class Access:
    """Looks services and stacks up by path."""

    def __init__(self, db: Database, grids: GridDirectory, hosts: HostAccess) -> None:
        self._db = db
        self._grids = grids
        self.hosts = hosts

    async def readable(self, principal: Principal, path: str) -> tuple[Grid, Service]:
        """The grid and the service, for a member. Raises NotFound, Forbidden, NotFound."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        return grid, await self._find(grid, path)

    async def place(self, principal: Principal, path: str) -> tuple[Grid, str, str]:
        """The grid and the names of stack and service, which may not exist. Raises NotFound, Forbidden, NotFound."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        return grid, *_names(path)

    async def changeable(self, principal: Principal, path: str) -> tuple[Grid, Service]:
        """As `readable`, for a member who may change the service with what it has of its node."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        service = await self._find(grid, path)
        self.hosts.check_service(principal, grid, service)
        return grid, service

    async def stack(self, principal: Principal, path: str) -> tuple[Grid, str]:
        """The grid and the name of a stack, for a member. Raises NotFound, Forbidden, NotFound."""
        grid_name, _, stack = path.partition("/")
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            if not await stacks.existing(tx, grid.id, [stack]):
                raise NotFound
        return grid, stack

    async def _find(self, grid: Grid, path: str) -> Service:
        return required(await store.at_path(self._db, grid.id, *_names(path)))


def _names(path: str) -> tuple[str, str]:
    _, *names = path.split("/")
    if len(names) != 2 or not all(NAME.fullmatch(name) for name in names):
        raise NotFound
    stack, name = names
    return stack, name


def resource(service: Service) -> Resource:
    """The service as the audit trail names it."""
    return new_resource(service.id, service.name, service.grid_id, service.grid)


def new_resource(service_id: str, name: str, grid_id: str, grid: str) -> Resource:
    """The same of one that is about to be made."""
    return Resource("GridService", service_id, name, grid_id, grid, service_id)
