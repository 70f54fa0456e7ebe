"""Forgets audit entries that are older than the operator wants to keep them."""

from datetime import timedelta

from services.auth_svc.store import audit_logs
from services.kernel.db import Database

PERIOD_SECONDS = 3600.0
_BATCH = 5000


async def forget_old_entries(db: Database, kept: timedelta) -> None:
    """One turn, in short transactions; harmless when several replicas take it at once."""
    forgotten = _BATCH
    while forgotten == _BATCH:
        async with db.transaction() as tx:
            forgotten = await audit_logs.forget_older(tx, kept, _BATCH)
