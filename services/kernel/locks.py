"""Every advisory lock of the suite: services may share a database, so the keys stand in one place.

All are held until the transaction ends. A key stays as it is from release to release: replicas of two releases must
keep each other out.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from services.kernel.db import Tx

# Makes of what is locked (a grid, a family of tokens, nothing) the SQL that waits for the lock.
Lock = Callable[[str], sa.Function[Any]]


async def hold(tx: Tx, lock: Lock, of: str = "") -> None:
    """Wait for the lock and keep it until the transaction ends."""
    await tx.execute(sa.select(lock(of)))


def _numbered(number: int) -> Lock:
    def lock(of: str) -> sa.Function[Any]:
        keys = (number, sa.func.hashtext(of)) if of else (number,)
        return sa.func.pg_advisory_xact_lock(*keys)

    return lock


def _named(name: str) -> Lock:
    def lock(of: str) -> sa.Function[Any]:
        return sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"{name}/{of}" if of else name, 0))

    return lock


MIGRATION = _numbered(0x4B4D_4947)
BOOTSTRAP = _numbered(0x4B4D_424F)
CONFIGURATION = _numbered(0x4B4D_434F)
TOKEN_FAMILY = _numbered(0x4B4D_4641)
GRID_MEMBERS = _numbered(0x4B4D_474D)
GRID_PARTITIONS = _named("grid.partitions")
DEPLOY_PARTITIONS = _named("deploy.partitions")
CONTAINER_LOGS = _named("deploy.container_logs")
LOG_SEGMENTS = _named("deploy.log_segments")
EVENT_LOGS = _named("deploy.event_logs")
IDEMPOTENCY_KEY = _numbered(0x4944_4B59)
PLACEMENT = _numbered(0x504C_4143)


def CERTIFICATE(of: str) -> sa.Function[Any]:
    """Of `grid id/subject`."""
    return sa.func.pg_advisory_xact_lock(sa.func.hashtext(of))
