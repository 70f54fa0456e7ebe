"""The key with which a node proves who it is."""

from services.grid_svc.store import node_sessions as session_store
from services.grid_svc.store import nodes as store
from services.grid_svc.usecases.access import administrable
from services.grid_svc.usecases.nodes import record
from services.kernel.db import Database
from services.kernel.errors import required
from services.kernel.principal import Principal


class NodeKeys:
    """For administrators of the grid."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def reset(self, principal: Principal, path: str) -> None:
        """Let the next machine with the engine id and a good join token be the node. Raises NotFound, Forbidden."""
        grid_name, _, reference = path.partition("/")
        async with self._db.transaction() as tx:
            grid = await administrable(tx, principal, grid_name)
            node = required(await store.find(tx, grid.id, reference, lock=True))
            await session_store.reset_key(tx, node)
            await record(tx, "reset key", node, grid)
