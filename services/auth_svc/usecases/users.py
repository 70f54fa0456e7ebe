"""Accounts: everybody sees their own, user_admins see and remove all, master_admins give and take roles."""

from services.auth_svc.domain.user import MASTER_ADMIN, ROLES, User
from services.auth_svc.policy import NOT_ALLOWED, bad_request, is_above, is_user_admin, require_user_admin
from services.auth_svc.store import invalidations, users
from services.auth_svc.usecases import trail
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound, Unauthenticated, ValidationFailed, required
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.kernel.validation import clean

LAST_ADMIN = "Not allowed to remove last user from Master admin role"


class Users:
    """There is always a user with the role master_admin, however many requests try to remove the last two at once."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def current(self, caller: Principal) -> User:
        """The caller's account. Raises Unauthenticated when it was removed a moment ago."""
        async with self._db.read() as tx:
            user = await users.find(tx, caller.user_id)
        if user is None:
            raise Unauthenticated
        return user

    async def list_all(self, caller: Principal, page: Page = WHOLE) -> Listing[User]:
        """All accounts, by e-mail. Raises Forbidden."""
        require_user_admin(caller)
        async with self._db.read() as tx:
            return await users.find_all(tx, page)

    async def delete(self, caller: Principal, email: str) -> None:
        """Remove an account with its tokens and memberships. Raises NotFound, ValidationFailed."""
        async with self._db.transaction() as tx:
            user = await find_user(tx, email)
            if user.id == caller.user_id:
                raise bad_request({"user": "Cannot remove itself"})
            if not is_user_admin(caller) or is_above(caller, user):
                raise bad_request({"user": NOT_ALLOWED})
            if await users.lock_holders(tx, MASTER_ADMIN.name) == [user.id]:
                raise bad_request({"user": LAST_ADMIN})
            if not await users.remove(tx, user.id):
                raise NotFound
            await invalidations.announce(tx, [user.id])
            await trail.user(tx, "delete", user)

    async def assign(self, caller: Principal, email: str, role: str | None) -> User:
        """Give a user a role; one already held stays. Raises NotFound, ValidationFailed."""
        async with self._db.transaction() as tx:
            user = await find_user(tx, email)
            _check(caller, role)
            if not await users.grant(tx, user.id, [str(role)], by=caller.user_id):
                return user
            return await self._changed(tx, "assign role", user)

    async def unassign(self, caller: Principal, email: str, role: str) -> User:
        """Take a role from a user; one not held does not matter. Raises NotFound, ValidationFailed."""
        async with self._db.transaction() as tx:
            user = await find_user(tx, email)
            _check(caller, role)
            if role == MASTER_ADMIN.name and len(await users.lock_holders(tx, role)) == 1:
                raise ValidationFailed({"role": LAST_ADMIN})
            if not await users.revoke(tx, user.id, role):
                return user
            return await self._changed(tx, "unassign role", user)

    async def _changed(self, tx: Tx, event: str, user: User) -> User:
        await invalidations.announce(tx, [user.id])
        await trail.user(tx, event, user)
        return await users.find(tx, user.id) or user


async def find_user(tx: Tx, email: str, message: str = "Not found") -> User:
    """The user with this e-mail. Raises NotFound."""
    return required(await users.find_by_email(tx, clean(email)), message)


def _check(caller: Principal, role: str | None) -> None:
    if role is None:
        raise ValidationFailed({"role": "Role can't be nil"})
    if role not in {known.name for known in ROLES}:
        raise ValidationFailed({"role": f"Role '{role}' not found"})
    if not caller.is_master_admin:
        raise ValidationFailed({"current_user": NOT_ALLOWED})
