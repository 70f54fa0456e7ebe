"""Grid membership, kept for grid_svc. The audit entry of a change is written by whoever asks for it."""

from collections.abc import AsyncIterator, Sequence

from services.auth_svc.domain.grid_members import GridMembers
from services.auth_svc.store import grid_members, invalidations, users
from services.kernel.db import Database
from services.kernel.errors import InvalidRequest, NotFound
from services.kernel.ids import is_id
from services.kernel.informer import Change
from services.kernel.watch import Watch

_GATHER_SECONDS = 0.2


class Memberships:
    """All verbs are idempotent; a change reaches the cached principals of every service at once."""

    def __init__(self, db: Database, watch: Watch) -> None:
        self._db = db
        self._watch = watch

    def follow(self) -> AsyncIterator[Change[GridMembers]]:
        """The members of all grids, then each change."""
        # What is announced names users; which grids they were in, nobody knows any more.
        return self._watch.follow([invalidations.CHANNEL], grid_members.count, None, _GATHER_SECONDS)

    async def add(self, grid_id: str, user_id: str) -> None:
        """Make a user a member. Raises InvalidRequest, or NotFound for an unknown user."""
        _require_ids(grid_id, user_id)
        async with self._db.transaction() as tx:
            if not await users.lock(tx, user_id):
                raise NotFound
            if await grid_members.add(tx, grid_id, user_id):
                await users.void_invitation(tx, user_id)
                await invalidations.announce(tx, [user_id])

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
            return {found.id: found.users for found in await grid_members.count(tx, grid_ids)}


def _require_ids(*values: str) -> None:
    for value in values:
        if not is_id(value):
            raise InvalidRequest(f"{value[:40]!r} is not an id")
