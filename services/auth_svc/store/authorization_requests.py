"""Logins that were begun and not ended."""

from datetime import timedelta

import sqlalchemy as sa

from services.auth_svc.domain.login import AuthorizationRequest
from services.auth_svc.store.tables import authorization_requests
from services.kernel.db import Tx
from services.kernel.members import made_of, members

_table = authorization_requests


async def add(tx: Tx, request: AuthorizationRequest, state_digest: bytes) -> None:
    """Store a request under its state."""
    await tx.execute(_table.insert().values(**members(request), state_digest=state_digest))


async def consume(tx: Tx, state_digest: bytes, lifetime: timedelta) -> AuthorizationRequest | None:
    """Take the request with this state, unless it is older than `lifetime`; of any number of callers one gets it."""
    fresh = _table.c.created_at > sa.func.now() - lifetime
    statement = _table.delete().where(_table.c.state_digest == state_digest, fresh).returning(_table)
    row = (await tx.execute(statement)).first()
    return None if row is None else made_of(AuthorizationRequest, row)


async def forget_old(tx: Tx, lifetime: timedelta) -> int:
    """Remove requests that nobody can use any more. Returns how many."""
    return (await tx.execute(_table.delete().where(_table.c.created_at < sa.func.now() - lifetime))).rowcount
