"""Join tokens: encrypted for the database, and shown to those who may see them.

Releases before stored them as they are, and compare with that. So a database from before goes on in clear text until
somebody says, with `seal-tokens`, that no replica of those is left; a new one is sealed from the beginning.
"""

from dataclasses import replace

from services.grid_svc.domain import token_sealing
from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.join_token import StoredToken
from services.grid_svc.store import join_tokens as store
from services.kernel.db import Database
from services.kernel.logs import get_logger
from services.kernel.principal import Principal
from services.kernel.sealing import Keyring, Undecryptable

log = get_logger(__name__)

_BATCH = 100


class JoinTokens:
    """What the keyring is used for."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    def stored(self, owner_id: str, token: str) -> StoredToken:
        """A token of the grid or node with this id, for the database."""
        return token_sealing.stored(self._ring, owner_id, token)

    def shown(self, owner_id: str, token: StoredToken) -> str:
        """The token itself. Raises Undecryptable."""
        return token_sealing.shown(self._ring, owner_id, token)

    def of_grid(self, grid: Grid) -> str:
        """The token of a grid. Raises Undecryptable."""
        return "" if grid.stored_token is None else self.shown(grid.id, grid.stored_token)

    def shown_to(self, principal: Principal, grid: Grid) -> Grid:
        """The grid, with its token for whoever administrates it: a token lets a node join and get secrets. One that
        does not open is left out: the grid can be used, and the token replaced."""
        if not principal.is_grid_admin(grid.id):
            return grid
        try:
            return replace(grid, token=self.of_grid(grid))
        except Undecryptable as error:
            log.error("a join token cannot be shown", grid=grid.name, reason=error.cause)
            return grid

    async def seal_all(self, db: Database) -> int:
        """Encrypt all tokens from now on; those that lie in clear text, and under the current key those that lie under
        another one, at once, in short transactions. How many do not open."""
        async with db.transaction() as tx:
            await store.seal_all(tx)
        return sum([await self._seal(db, holder, self._ring.current.id) for holder in store.HOLDERS])

    async def seal_the_rest(self, db: Database) -> None:
        """Encrypt what transactions wrote in clear text that began before `seal_all`, after it."""
        async with db.read() as tx:
            if not await store.are_sealed(tx):
                return
        for holder in store.HOLDERS:
            await self._seal(db, holder, None)

    async def _seal(self, db: Database, holder: str, key_id: str | None) -> int:
        after, lost = "", 0
        while True:
            async with db.transaction() as tx:
                batch = await store.to_seal(tx, holder, key_id, after, _BATCH)
                for owner_id, token in batch:
                    try:
                        new = self.stored(owner_id, self.shown(owner_id, token))
                    except Undecryptable as error:
                        lost += 1
                        log.error("a join token stays under another key", reason=error.cause)
                    else:
                        await store.replace(tx, holder, owner_id, new)
            if not batch:
                return lost
            after = batch[-1][0]
