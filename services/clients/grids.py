"""The grids as grid_svc knows them, followed by a watch and looked up by name without a call."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.errors import Forbidden, NotFound
from services.kernel.informer import Change, Delete, Informer, Synced, Upsert, changes
from services.kernel.members import made_of
from services.kernel.principal import Principal

# Who may use what reaches past a container to its node.
ADMINS = "admins"
MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid; `id` is never reused, `name` may be after a deletion. `host_access` is ADMINS or MEMBERS."""

    id: str
    name: str
    default_affinity: tuple[str, ...] = ()
    subnet: str = ""
    supernet: str = ""
    initial_size: int = 1
    host_access: str = MEMBERS


class GridDirectory:
    """Answers which grid a name means and whether a caller may see it."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(GridWatchServiceStub)
        self._by_name: dict[str, Grid] = {}
        self.informer: Informer[Grid] = Informer("grids", self._watch)
        self.informer.on_change(self._index)

    async def find(self, name: str) -> Grid:
        """The grid called `name`. A name that is not known here yet is asked for once. Raises NotFound."""
        await self.informer.items()
        grid = self._by_name.get(name)
        return grid if grid is not None else await self.ask(name)

    async def accessible(self, principal: Principal, name: str) -> Grid:
        """The grid, if the caller may see it. Raises NotFound, then Forbidden (docs/spec/auth_grid.md section 11.4)."""
        grid = await self.find(name)
        if not principal.has_access(grid.id):
            raise Forbidden
        return grid

    async def changeable(self, principal: Principal, name: str) -> Grid:
        """The grid, if the caller may change things in it. Raises NotFound, then Forbidden."""
        grid = await self.accessible(principal, name)
        if not principal.may_change(grid.id):
            raise Forbidden
        return grid

    async def by_id(self, grid_id: str) -> Grid | None:
        """The grid with this id, or None when it is gone."""
        return (await self.informer.items()).get(grid_id)

    async def ask(self, name: str) -> Grid:
        """The grid called `name` as grid_svc knows it now. Raises NotFound."""
        try:
            return _grid(await self._stub.GetGridRecord(pb.GetGridRecordRequest(name=name)))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound from None
            raise

    def _index(self, change: Change[Grid]) -> None:
        match change:
            case Upsert(_, grid):
                self._by_name[grid.name] = grid
            case Delete(key):
                self._by_name = {name: grid for name, grid in self._by_name.items() if grid.id != key}
            case Synced():
                pass

    def _watch(self) -> AsyncIterator[Change[Grid]]:
        events = self._stub.WatchGrids(pb.WatchGridsRequest(), wait_for_ready=True)
        return changes(events, lambda record: (record.id, _grid(record)))


def _grid(record: pb.GridRecord) -> Grid:
    # No `host_access` comes from a grid_svc of the release before, which knows no such setting.
    return made_of(
        Grid, record, default_affinity=tuple(record.default_affinity), host_access=record.host_access or MEMBERS
    )
