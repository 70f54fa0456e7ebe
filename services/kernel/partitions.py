"""Tables that are partitioned by day, so that what is old goes without a trace.

Partitions live in a schema of their own, so that the schema of the service shows what the migrations made and nothing
else. Each coming day gets one ahead of time; a default partition takes what arrives when nobody made one, so that a
writer never fails for it. Any number of replicas may do the same at the same time.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta

import sqlalchemy as sa

from services.kernel import locks
from services.kernel.db import Database, Tx
from services.kernel.locks import Lock

PERIOD_SECONDS = 3600.0
# Days ahead: nobody may come by for that long before rows go to the default partition.
_AHEAD = 3


class DailyPartitions:
    """Tables of one service, each with the column (a date, or a time in UTC) whose day decides."""

    def __init__(self, schema: str, columns: Mapping[str, str], lock: Lock) -> None:
        self.columns = columns
        self._schema = schema
        self._home = f"{schema}_partitions"
        self._lock = lock

    async def prepare(self, db: Database) -> None:
        """Make the partitions of today and the next days, where they are missing."""
        async with db.read() as tx:
            first = await today(tx)
            days = {first + timedelta(days=ahead) for ahead in range(_AHEAD + 1)}
            missing = [
                (name, day) for name in self.columns for day in sorted(days - set(await self.existing(tx, name)))
            ]
        for table, day in missing:
            async with self._changing(db) as tx:
                if day not in await self.existing(tx, table):
                    await self.create(tx, table, day)

    async def expire(self, db: Database, days: int) -> date:
        """Drop what is older than so many days; returns the first day that is kept. One change per transaction, so that
        locks are short."""
        async with db.read() as tx:
            before = await today(tx) - timedelta(days=days)
            known = [(name, day) for name in self.columns for day in sorted(await self.existing(tx, name))]
        for table, day in [(table, day) for table, day in known if day < before]:
            async with self._changing(db) as tx:
                if (name := (await self.existing(tx, table)).get(day)) is not None:
                    await self.drop(tx, name)
        async with db.transaction() as tx:
            for table, column in self.columns.items():
                await tx.execute(sa.text(f"delete from {self._home}.{table}_default where {column} < date '{before}'"))  # noqa: S608 -- ours.
        return before

    async def existing(self, tx: Tx, table: str) -> dict[date, str]:
        """The daily partitions of a table by day."""
        query = sa.text(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = cast(:parent as regclass) and c.relname ~ :pattern"
        )
        names = await tx.execute(query, {"parent": f"{self._schema}.{table}", "pattern": f"^{table}_[0-9]{{8}}$"})
        return {date.fromisoformat(name.removeprefix(f"{table}_")): f"{self._home}.{name}" for name in names.scalars()}

    async def create(self, tx: Tx, table: str, day: date) -> None:
        """Make the partition of a day, taking over rows of that day from the default partition."""
        name, default = f"{self._home}.{table}_{day:%Y%m%d}", f"{self._home}.{table}_default"
        until, column = day + timedelta(days=1), self.columns[table]
        mine = f"{column} >= date '{day}' and {column} < date '{until}'"
        for statement in (
            # Attaching an existing table locks out neither readers nor writers of the other partitions.
            f"create table {name} (like {self._schema}.{table} including defaults including constraints)",
            f"lock table {default} in access exclusive mode",
            f"with moved as (delete from {default} where {mine} returning *) insert into {name} select * from moved",  # noqa: S608 -- ours.
            f"alter table {self._schema}.{table} attach partition {name} for values from ('{day}') to ('{until}')",
        ):
            await tx.execute(sa.text(statement))

    async def drop(self, tx: Tx, name: str) -> None:
        """Drop a partition with its rows."""
        await tx.execute(sa.text(f"drop table {name}"))

    @asynccontextmanager
    async def _changing(self, db: Database) -> AsyncIterator[Tx]:
        """One replica at a time changes partitions, and none waits long for a table lock."""
        async with db.transaction() as tx:
            await tx.execute(sa.text("set local lock_timeout = '3s'"))
            await locks.hold(tx, self._lock)
            yield tx


async def today(tx: Tx) -> date:
    """The day of the database, in UTC."""
    day: date = (await tx.execute(sa.text("select current_date"))).scalar_one()
    return day
