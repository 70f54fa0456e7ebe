"""Lets other services follow grids and nodes."""

from collections.abc import AsyncIterator

from services.grid_svc.domain.watch import GridRecord, NodeRecord
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import watch as store
from services.grid_svc.store.channels import GRIDS, NODE_STATS, NODES, grid_of, node_of
from services.kernel.db import Database
from services.kernel.errors import required
from services.kernel.informer import Change
from services.kernel.watch import Watch


class Watches:
    """Snapshot, Synced, then every change (services/kernel/watch.py)."""

    def __init__(self, db: Database, watch: Watch) -> None:
        self._db = db
        self._watch = watch

    def grids(self) -> AsyncIterator[Change[GridRecord]]:
        """All grids, then their changes."""
        return self._watch.follow([GRIDS], store.grid_records, grid_of)

    def nodes(self) -> AsyncIterator[Change[NodeRecord]]:
        """All nodes, then their changes; a sign of life alone is none."""
        return self._watch.follow([NODES, NODE_STATS], store.node_records, node_of)

    async def grid(self, name: str) -> GridRecord:
        """The grid called `name`. Raises NotFound."""
        async with self._db.read() as tx:
            return store.grid_record(required(await grid_store.find(tx, name)))
