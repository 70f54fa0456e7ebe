"""Grids as they are now: kept, and read again when Postgres says that there is another version."""

from collections.abc import Sequence

from services.grid_svc.domain.grid import Grid
from services.grid_svc.store import grids as store
from services.kernel.db import Database
from services.kernel.errors import Forbidden, required
from services.kernel.kept import Kept, Version
from services.kernel.principal import Principal


class GridReads:
    """Grids without their tokens (join_tokens.py), for callers who may see them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: Kept[Grid, Grid] = Kept(lambda grid: grid)

    async def one(self, principal: Principal, name: str) -> tuple[Grid, int]:
        """The grid with a name, and its number of nodes. Raises NotFound, Forbidden."""
        grid_id, version, nodes = required(await store.current(self._db, name))
        return await self.of_version(principal, grid_id, version), nodes

    async def of_version(self, principal: Principal, grid_id: str, version: Version) -> Grid:
        """The grid whose current version this is. Raises Forbidden; NotFound when it was removed a moment ago."""
        if not principal.has_access(grid_id):
            raise Forbidden
        return required(await self.known(grid_id, version))

    async def known(self, grid_id: str, version: Version) -> Grid | None:
        """The grid whose current version this is, for callers who have it already; None when it was removed."""
        return (await self._kept.of({grid_id: version}, self._load)).get(grid_id)

    async def _load(self, ids: Sequence[str]) -> Sequence[tuple[str, Version, Grid]]:
        async with self._db.read() as tx:
            return await store.with_versions(tx, ids)
