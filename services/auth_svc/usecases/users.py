"""Accounts as their owners see them."""

from services.auth_svc.domain.user import User
from services.auth_svc.store import users
from services.kernel.db import Database
from services.kernel.errors import Unauthenticated
from services.kernel.principal import Principal


class Users:
    """Shows accounts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def current(self, caller: Principal) -> User:
        """The caller's account. Raises Unauthenticated when it was removed a moment ago."""
        async with self._db.read() as tx:
            user = await users.find(tx, caller.user_id)
        if user is None:
            raise Unauthenticated
        return user
