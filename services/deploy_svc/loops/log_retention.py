"""Makes the partitions of the coming days and drops those that are too old."""

from datetime import date, timedelta

from services.deploy_svc.store import container_logs, event_logs, log_usage, partitions
from services.kernel.db import Database

PERIOD_SECONDS = 3600.0
# Days ahead: the loop may fail for that long before rows go to the default partition.
_AHEAD = 3


class LogRetention:
    """Logs, events and stats. Any number of replicas may run it; each turn is idempotent."""

    def __init__(self, db: Database, days: int) -> None:
        self._db = db
        self._days = days

    async def turn(self) -> None:
        """One change per transaction, so that locks are short."""
        await self.prepare()
        await self._expire()

    async def prepare(self) -> None:
        """Make the partitions of today and the next days, where they are missing."""
        async with self._db.read() as tx:
            today = await partitions.today(tx)
            missing = [
                (table, day)
                for table in partitions.TABLES
                for day in _days(today, await partitions.existing(tx, table))
            ]
        for table, day in missing:
            async with self._db.transaction() as tx:
                await partitions.lock(tx)
                if day not in await partitions.existing(tx, table):
                    await partitions.create(tx, table, day)

    async def _expire(self) -> None:
        async with self._db.read() as tx:
            before = await partitions.today(tx) - timedelta(days=self._days)
            old = [
                (table, day)
                for table in partitions.TABLES
                for day in sorted(await partitions.existing(tx, table))
                if day < before
            ]
        for table, day in old:
            async with self._db.transaction() as tx:
                await partitions.lock(tx)
                if (name := (await partitions.existing(tx, table)).get(day)) is not None:
                    await partitions.drop(tx, name)
        async with self._db.transaction() as tx:
            for table in partitions.TABLES:
                await partitions.expire_default(tx, table, before)
            await container_logs.expire_positions(tx, before)
            await log_usage.expire(tx, before)
            await event_logs.expire_positions(tx, before)


def _days(today: date, made: dict[date, str]) -> list[date]:
    return [day for ahead in range(_AHEAD + 1) if (day := today + timedelta(days=ahead)) not in made]
