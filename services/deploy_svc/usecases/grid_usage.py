"""What grids hold, for grid_svc."""

from collections.abc import AsyncIterator, Collection

from services.deploy_svc.domain.watch import GridUsage
from services.deploy_svc.store import grid_usage as store
from services.kernel.db import Database
from services.kernel.informer import Change
from services.kernel.watch import Watch

# While containers come and go all the time, followers hear of it so often.
_GATHER_SECONDS = 0.2


class GridUsages:
    def __init__(self, db: Database, watch: Watch) -> None:
        self._db = db
        self._watch = watch

    def follow(self) -> AsyncIterator[Change[GridUsage]]:
        """What all grids hold, then each change."""
        return self._watch.follow([store.CHANNEL], store.count, gather=_GATHER_SECONDS)

    async def count(self, grid_ids: Collection[str]) -> list[GridUsage]:
        """What some grids hold; one without anything is left out."""
        if not grid_ids:
            return []
        async with self._db.read() as tx:
            return await store.count(tx, grid_ids)

    async def stateful_nodes(self, node_ids: Collection[str]) -> set[str]:
        """Those of the nodes that hold an instance of a stateful service."""
        if not node_ids:
            return set()
        async with self._db.read() as tx:
            return await store.stateful_nodes(tx, node_ids)
