"""Grid membership, kept for grid_svc. The audit entry of a change is written by whoever asks for it."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from services.auth_svc.store import grid_members, invalidations
from services.kernel.db import Database
from services.kernel.errors import InvalidRequest, NotFound
from services.kernel.ids import is_id


class Memberships:
    """All verbs are idempotent; a change reaches the cached principals of every service at once."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, grid_id: str, user_id: str) -> None:
        """Make a user a member. Raises InvalidRequest, or NotFound for an unknown user."""
        _require_ids(grid_id, user_id)
        try:
            async with self._db.transaction() as tx:
                if await grid_members.add(tx, grid_id, user_id):
                    await invalidations.announce(tx, [user_id])
        except IntegrityError:
            raise NotFound from None

    async def remove_grid(self, grid_id: str) -> None:
        """Forget a grid that was deleted."""
        _require_ids(grid_id)
        async with self._db.transaction() as tx:
            await invalidations.announce(tx, await grid_members.remove_grid(tx, grid_id))

    async def count(self, grid_ids: Sequence[str]) -> dict[str, int]:
        """Members by grid id, in one query; grids without members are left out."""
        _require_ids(*grid_ids)
        if not grid_ids:
            return {}
        async with self._db.read() as tx:
            return await grid_members.count(tx, grid_ids)


def _require_ids(*values: str) -> None:
    for value in values:
        if not is_id(value):
            raise InvalidRequest(f"{value[:40]!r} is not an id")
