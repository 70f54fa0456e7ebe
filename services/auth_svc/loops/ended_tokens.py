"""Forgets tokens that were used up or revoked long ago, and logins that nobody ended.

Tokens are kept at first so that a second use of a refresh token is noticed; after that an unknown token and an old one
are refused in the same way.
"""

from datetime import timedelta

from services.auth_svc.domain.login import REQUEST_LIFETIME
from services.auth_svc.store import access_tokens, authorization_requests
from services.kernel.db import Database

PERIOD_SECONDS = 3600.0
KEPT = timedelta(days=30)


async def forget_ended_tokens(db: Database) -> None:
    """One turn; harmless when several replicas take it at once."""
    async with db.transaction() as tx:
        await access_tokens.forget_ended(tx, KEPT)
        await authorization_requests.forget_old(tx, REQUEST_LIFETIME)
