"""Removes what belongs to deleted grids. Any number of replicas may run it; every turn is idempotent.

The local copy of the grids only nominates: it may be stale when its watch is stuck. Before anything is removed a new
snapshot is taken from grid_svc, younger than the moment the grid was noticed by the whole margin.
"""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import timedelta

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceStub
from services.clients.grids import GridDirectory
from services.kernel.client import ServiceChannel
from services.kernel.db import Database
from services.kernel.logs import get_logger
from services.vault_svc.domain.departure import Plan, plan
from services.vault_svc.store import departed_grids as store

log = get_logger(__name__)

_SNAPSHOT_SECONDS = 10.0

# The ids of all grids that exist at this moment.
Snapshot = Callable[[], Awaitable[AbstractSet[str]]]


class DepartedGrids:
    """`turn` is called periodically, and soon after a grid was deleted."""

    def __init__(self, db: Database, grids: GridDirectory, snapshot: Snapshot, margin: timedelta) -> None:
        self._db = db
        self._grids = grids
        self._snapshot = snapshot
        self._margin = margin

    async def turn(self) -> None:
        """Notice departed grids, and remove the data of those that stayed away for the margin."""
        due = (await self._note()).due
        if not due:
            return
        gone = due - await self._snapshot()
        async with self._db.transaction() as tx:
            count = await store.purge(tx, gone)
            await store.forget(tx, due)
        log.info("removed data of deleted grids", grids=sorted(gone), rows=count)

    async def _note(self) -> Plan:
        known = frozenset(await self._grids.informer.items())
        async with self._db.transaction() as tx:
            noticed, now = await store.noticed(tx)
            found = plan(await store.with_data(tx), known, noticed, now, self._margin)
            await store.notice(tx, found.notice)
            await store.forget(tx, found.forget)
        return found


def snapshot_of(channel: ServiceChannel) -> Snapshot:
    """Asks grid_svc on `channel`. Raises when it does not answer, or ends before the snapshot is complete."""
    stub = channel.stub(GridWatchServiceStub)

    async def snapshot() -> AbstractSet[str]:
        alive: set[str] = set()
        async with asyncio.timeout(_SNAPSHOT_SECONDS):
            watch = stub.WatchGrids(pb.WatchGridsRequest())
            async for event in watch:
                match event.WhichOneof("event"):
                    case "upserted":
                        alive.add(event.upserted.id)
                    case "deleted":
                        alive.discard(event.deleted)
                    case "synced":
                        watch.cancel()
                        return alive
        raise ConnectionError("the snapshot of the grids is incomplete")

    return snapshot
