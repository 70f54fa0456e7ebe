"""What scripts on nodes do with the join token of their grid instead of an access token."""

from dataclasses import replace

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.node import Node, NodeChanges, check_changes
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import nodes as store
from services.grid_svc.usecases.nodes import NodeView, change, view
from services.kernel.db import Database, Tx
from services.kernel.errors import required


class LegacyNodes:
    """Nodes by engine id, in the grid whose token was shown. Raise NotFound for a bad token and an unknown node."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, token: str, engine_id: str) -> NodeView:
        async with self._db.read() as tx:
            grid, node = await _found(tx, token, engine_id)
            return await view(tx, grid, node)

    async def update(self, token: str, engine_id: str, given: NodeChanges) -> NodeView:
        """Change labels. Raises ValidationFailed."""
        async with self._db.transaction() as tx:
            grid, node = await _found(tx, token, engine_id, lock=True)
            return await view(tx, grid, await change(tx, grid, node, check_changes(given)))


async def _found(tx: Tx, token: str, engine_id: str, *, lock: bool = False) -> tuple[Grid, Node]:
    found = required(await grid_store.find_by_token(tx, token) if token else None)
    # Who shows the token knows it.
    grid = replace(found, token=token)
    node = required(await store.find_by_engine_id(tx, grid.id, engine_id, lock=lock), "Node not found")
    return grid, node
