"""Removes the services of grids that are gone."""

import asyncio

from services.clients.grids import Grid, GridDirectory
from services.deploy_svc.store import grids as store
from services.deploy_svc.store import instances, services
from services.kernel.db import Database
from services.kernel.errors import NotFound
from services.kernel.informer import Change, Delete, Synced
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 60.0


class GridCleanup:
    """Compares the grids that something belongs to with the grids that exist; idempotent, any number of replicas."""

    def __init__(self, db: Database, grids: GridDirectory) -> None:
        self._db = db
        self._grids = grids
        self.wake = asyncio.Event()
        grids.informer.on_change(self._changed)

    async def turn(self) -> None:
        """Remove what belongs to no grid."""
        async with self._db.read() as tx:
            used = await store.with_data(tx)
        for grid_id, name in sorted(used.items()):
            if await self._gone(grid_id, name):
                await self._remove(grid_id)

    async def _gone(self, grid_id: str, name: str) -> bool:
        """Whether grid_svc says so: the local copy may be behind when the grid is new. Raises when it cannot say."""
        if await self._grids.by_id(grid_id) is not None:
            return False
        try:
            return (await self._grids.find(name)).id != grid_id
        except NotFound:
            return True

    async def _remove(self, grid_id: str) -> None:
        async with self._db.transaction() as tx:
            ids = await services.ids_of_grid(tx, grid_id)
            for service_id in ids:
                await instances.notify_nodes(tx, service_id)
                await services.delete(tx, service_id)
            await store.purge(tx, grid_id)
        log.info("removed the services of a deleted grid", grid_id=grid_id, services=len(ids))

    def _changed(self, change: Change[Grid]) -> None:
        if isinstance(change, Delete | Synced):
            self.wake.set()
