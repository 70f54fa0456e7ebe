"""How busy nodes and grids were."""

from services.grid_svc.domain.metrics import Minute, Window, window
from services.grid_svc.store import nodes as node_store
from services.grid_svc.store import resource_usage as store
from services.grid_svc.usecases.access import accessible
from services.kernel.db import Database, now
from services.kernel.errors import required
from services.kernel.principal import Principal


class Metrics:
    """Averages by the minute. Raise NotFound, Forbidden, InvalidRequest."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def node(self, principal: Principal, path: str, start: str, end: str) -> tuple[Window, list[Minute]]:
        """Of one node, named `grid/name` or `grid/engine-id`."""
        grid_name, _, reference = path.partition("/")
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, grid_name)
            node = required(await node_store.find(tx, grid.id, reference))
            span = window(start, end, await now(tx))
            return span, await store.minutes(tx, "node_id", node.id, span)

    async def grid(self, principal: Principal, name: str, start: str, end: str) -> tuple[Window, list[Minute]]:
        """Of a grid: the sum over its nodes."""
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, name)
            span = window(start, end, await now(tx))
            return span, await store.minutes(tx, "grid_id", grid.id, span)
