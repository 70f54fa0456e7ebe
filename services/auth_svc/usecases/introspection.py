"""Who a token stands for, and when such an answer is no longer right."""

from collections.abc import AsyncIterator

from services.auth_svc.store import principals
from services.auth_svc.store.invalidations import CHANNEL
from services.auth_svc.store.principals import Identity
from services.auth_svc.usecases.minting import Mint
from services.kernel.db import Database
from services.kernel.errors import Unauthenticated
from services.kernel.listen import Listener, drain
from services.kernel.principal import Principal

EVERYONE = ""


class Introspection:
    """Reads the database for each answer, so that it is never late; other services cache theirs."""

    def __init__(self, db: Database, listener: Listener, mint: Mint) -> None:
        self._db = db
        self._listener = listener
        self._mint = mint

    async def find(self, token: str) -> Identity | None:
        """The identity behind a token, expired or not; None when there is none."""
        return await principals.find(self._db, self._mint.digest(token))

    async def resolve(self, token: str) -> Principal:
        """The Introspect function of this service's own authenticator. Raises Unauthenticated."""
        identity = await self.find(token)
        if identity is None:
            raise Unauthenticated
        if identity.expired:
            raise Unauthenticated("Token expired")
        return identity.principal

    async def invalidations(self) -> AsyncIterator[str]:
        """User ids as their tokens, roles or memberships change; EVERYONE first, and after a gap.

        The subscription exists before the first item, so nothing that commits after it is missed.
        """
        async with self._listener.subscribe(CHANNEL) as changes:
            yield EVERYONE
            while True:
                user_ids = drain(changes, await changes.get())
                if None in user_ids:
                    yield EVERYONE
                    continue
                for user_id in user_ids:
                    yield str(user_id)
