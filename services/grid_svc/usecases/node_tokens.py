"""The secret with which a single node joins."""

import hmac

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.join_token import NOT_USABLE, StoredToken, check_token, digest, random_token
from services.grid_svc.domain.node import Node
from services.grid_svc.store import node_sessions as session_store
from services.grid_svc.store import nodes as store
from services.grid_svc.usecases.access import administrable
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.grid_svc.usecases.nodes import record
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.principal import Principal

_NONE = "Host node does not have a node token"


class NodeTokens:
    """The verbs of node tokens, for administrators of the grid. Raise NotFound, Forbidden."""

    def __init__(self, db: Database, tokens: JoinTokens) -> None:
        self._db = db
        self._tokens = tokens

    async def get(self, principal: Principal, path: str) -> tuple[str, str]:
        """The node's `grid/name` and its token. Raises NotFound when it has none."""
        async with self._db.read() as tx:
            grid, node = await _found(tx, principal, path)
        if node.token is None:
            raise NotFound(_NONE)
        return f"{grid.name}/{node.name}", self._tokens.shown(node.id, node.token)

    async def set(self, principal: Principal, path: str, given: str | None, *, reset: bool) -> tuple[str, str]:
        """Replace the token, by a random one when none is given. Raises ValidationFailed."""
        async with self._db.transaction() as tx:
            grid, node = await _found(tx, principal, path, lock=True)
            token = check_token(given) or random_token()
            if node.token is not None and hmac.compare_digest(digest(token), node.token.digest):
                raise ValidationFailed({"token": NOT_USABLE})
            await self._change(tx, grid, node, self._tokens.stored(node.id, token), reset=reset)
        return f"{grid.name}/{node.name}", token

    async def clear(self, principal: Principal, path: str, *, reset: bool) -> None:
        """Take the token away: the node joins with the grid token from now on."""
        async with self._db.transaction() as tx:
            grid, node = await _found(tx, principal, path, lock=True)
            await self._change(tx, grid, node, None, reset=reset)

    async def _change(self, tx: Tx, grid: Grid, node: Node, token: StoredToken | None, *, reset: bool) -> None:
        if not await store.set_token(tx, node, token):
            raise ValidationFailed({"token": NOT_USABLE})
        if reset:
            await session_store.reset(tx, node)
        await record(tx, "clear token" if token is None else "update token", node, grid)


async def _found(tx: Tx, principal: Principal, path: str, *, lock: bool = False) -> tuple[Grid, Node]:
    grid_name, _, reference = path.partition("/")
    grid = await administrable(tx, principal, grid_name)
    return grid, required(await store.find(tx, grid.id, reference, lock=lock))
