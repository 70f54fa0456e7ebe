"""The members of a grid, as users see and change them (docs/spec/auth_grid.md section 11.7)."""

from services.auth_svc.domain.user import User
from services.auth_svc.policy import NOT_ALLOWED, is_above, may_change_members
from services.auth_svc.store import grid_members, invalidations, users
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.users import find_user
from services.clients.grids import GridDirectory
from services.kernel.db import Database
from services.kernel.errors import NotFound, ValidationFailed
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal

_UNKNOWN = "User not found"


class GridUsers:
    """A user cannot remove the last member of a grid, however many requests try to remove the last two at once."""

    def __init__(self, db: Database, grids: GridDirectory) -> None:
        self._db = db
        self._grids = grids

    async def members(self, caller: Principal, grid_name: str, page: Page = WHOLE) -> Listing[User]:
        """The members, by e-mail. Raises NotFound, Forbidden."""
        grid = await self._grids.accessible(caller, grid_name)
        async with self._db.read() as tx:
            return await users.of_grid(tx, grid.id, page)

    async def add(self, caller: Principal, grid_name: str, email: str) -> Listing[User]:
        """Make a user a member and return all. Raises NotFound, Forbidden, ValidationFailed."""
        grid = await self._grids.accessible(caller, grid_name)
        async with self._db.transaction() as tx:
            user = await find_user(tx, email, _UNKNOWN)
            if not may_change_members(caller, grid.id):
                raise ValidationFailed({"grid": NOT_ALLOWED})
            if not await users.lock(tx, user.id):  # Removed a moment ago.
                raise NotFound(_UNKNOWN)
            if await grid_members.add(tx, grid.id, user.id):
                await users.void_invitation(tx, user.id, by=caller.user_id)
                await invalidations.announce(tx, [user.id])
                await trail.member(tx, "assign user", user, grid.id, grid.name)
            return await users.of_grid(tx, grid.id)

    async def remove(self, caller: Principal, grid_name: str, email: str) -> Listing[User]:
        """End a membership and return the remaining members. Raises NotFound, Forbidden, ValidationFailed."""
        grid = await self._grids.accessible(caller, grid_name)
        async with self._db.transaction() as tx:
            user = await find_user(tx, email, _UNKNOWN)
            above = is_above(caller, user) and not caller.is_grid_admin(grid.id)
            if not may_change_members(caller, grid.id) or above:
                raise ValidationFailed({"grid": NOT_ALLOWED})
            members = await grid_members.lock(tx, grid.id)
            if user.id not in members:
                raise ValidationFailed({"user": "Invalid user"})
            if len(members) == 1:
                raise ValidationFailed({"grid": "Cannot remove last user"})
            await grid_members.remove(tx, grid.id, user.id)
            await invalidations.announce(tx, [user.id])
            await trail.member(tx, "unassign user", user, grid.id, grid.name)
            return await users.of_grid(tx, grid.id)
