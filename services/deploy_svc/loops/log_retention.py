"""Makes the partitions of the coming days and drops those that are too old."""

from datetime import timedelta

from services.deploy_svc.store import container_logs as store
from services.kernel.db import Database

PERIOD_SECONDS = 3600.0
# Days ahead: the loop may fail for that long before lines go to the default partition.
_AHEAD = 3


class LogRetention:
    """Any number of replicas may run it; each turn is idempotent."""

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
            today = await store.today(tx)
        for day in (today + timedelta(days=ahead) for ahead in range(_AHEAD + 1)):
            async with self._db.transaction() as tx:
                await store.lock_partitions(tx)
                if day not in await store.partitions(tx):
                    await store.create_partition(tx, day)

    async def _expire(self) -> None:
        async with self._db.read() as tx:
            before = await store.today(tx) - timedelta(days=self._days)
            old = sorted(day for day in await store.partitions(tx) if day < before)
        for day in old:
            async with self._db.transaction() as tx:
                await store.lock_partitions(tx)
                if (name := (await store.partitions(tx)).get(day)) is not None:
                    await store.drop_partition(tx, name)
        async with self._db.transaction() as tx:
            await store.expire(tx, before)
