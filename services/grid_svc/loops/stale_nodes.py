"""Removes ephemeral nodes that nobody saw for hours (docs/spec/auth_grid.md section 13.13)."""

from services.grid_svc.clients.counts import Usage
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import nodes as store
from services.grid_svc.usecases.nodes import record
from services.kernel.db import Database
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 3600.0


class StaleNodes:
    """Any number of replicas may run it: what one has locked the others pass over."""

    def __init__(self, db: Database, usage: Usage, hours: float) -> None:
        self._db = db
        self._usage = usage
        self._hours = hours

    async def turn(self) -> None:
        """Look once. Initial members, nodes without the label `ephemeral` and nodes with data always stay."""
        async with self._db.read() as tx:
            late = {node.id for node in await store.stale(tx, self._hours)}
        with_data = await self._usage.stateful_nodes(late)
        async with self._db.transaction() as tx:
            found = [node for node in await store.stale(tx, self._hours, lock=True) if node.id in late - with_data]
            grids = {grid.id: grid for grid in await grid_store.read(tx, {node.grid_id for node in found})}
            for node in found:
                await store.delete(tx, node.id)
                await record(tx, "remove node", node, grids[node.grid_id])
        for node in found:
            log.info("stale ephemeral node removed", grid=grids[node.grid_id].name, node=node.name)
