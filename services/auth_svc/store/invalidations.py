"""Tells all replicas whose cached principals are no longer right."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.db import Tx

CHANNEL = "auth_invalidation"


async def announce(tx: Tx, user_ids: Iterable[str]) -> None:
    """Notify, when the transaction commits, that tokens, roles or memberships of these users changed."""
    each = sa.func.unnest(sa.cast(sorted(set(user_ids)), ARRAY(sa.Text))).column_valued("user_id")
    await tx.execute(sa.select(sa.func.pg_notify(CHANNEL, each)))
