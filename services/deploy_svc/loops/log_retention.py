"""Makes the partitions of the coming days and drops those that are too old."""

from services.deploy_svc.store import container_logs, event_logs, log_segments, log_usage
from services.deploy_svc.store.partitions import PARTITIONS
from services.kernel import locks
from services.kernel.db import Database


class LogRetention:
    """Logs, events and stats. Any number of replicas may run it; each turn is idempotent."""

    def __init__(self, db: Database, days: int) -> None:
        self._db = db
        self._days = days

    async def turn(self) -> None:
        """Prepare the coming days, forget the old ones."""
        await PARTITIONS.prepare(self._db)
        before = await PARTITIONS.expire(self._db, self._days)
        async with self._db.transaction() as tx:
            await container_logs.expire_positions(tx, before)
            await log_usage.expire(tx, before)
            await event_logs.expire_positions(tx, before)
        await forget_segments(self._db)


async def forget_segments(db: Database) -> None:
    """Nobody looks for lines where there are none any more."""
    async with db.transaction() as tx:
        await locks.hold(tx, locks.LOG_SEGMENTS)
        await log_segments.forget(tx)
