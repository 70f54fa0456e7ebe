"""What grids hold, for grid_svc."""

from collections.abc import Collection

from services.deploy_svc.store import grid_usage as store
from services.kernel.db import Database


class GridUsage:
    """The use case."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def count(self, grid_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """Services and containers by grid id; a grid without any is left out."""
        if not grid_ids:
            return {}
        async with self._db.read() as tx:
            return await store.count(tx, grid_ids)

    async def stateful_nodes(self, node_ids: Collection[str]) -> set[str]:
        """Those of the nodes that hold an instance of a stateful service."""
        if not node_ids:
            return set()
        async with self._db.read() as tx:
            return await store.stateful_nodes(tx, node_ids)
