"""Tables partitioned by day of arrival: container logs, event logs, container stats.

Partitions live in a schema of their own, `deploy_partitions`, so that the schema of the service shows what the
migrations made and nothing else. Each coming day gets one ahead of time; a default partition takes what arrives when
nobody made one, so that a writer never fails for it.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa

from services.kernel.db import Tx

_SCHEMA = "deploy_partitions"

# Every table that has a column `arrived_on` and a default partition.
TABLES = ("container_logs", "event_logs", "container_stats")


async def today(tx: Tx) -> date:
    """The day of the database, as `arrived_on` counts it."""
    day: date = (await tx.execute(sa.text("select current_date"))).scalar_one()
    return day


async def existing(tx: Tx, table: str) -> dict[date, str]:
    """The daily partitions of a table by day."""
    query = sa.text(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = cast(:parent as regclass) and c.relname ~ :pattern"
    )
    names = await tx.execute(query, {"parent": f"deploy.{table}", "pattern": f"^{table}_[0-9]{{8}}$"})
    return {date.fromisoformat(name.removeprefix(f"{table}_")): f"{_SCHEMA}.{name}" for name in names.scalars()}


async def create(tx: Tx, table: str, day: date) -> None:
    """Make the partition of a day, taking over rows of that day from the default partition."""
    name = f"{_SCHEMA}.{table}_{day:%Y%m%d}"
    default = f"{_SCHEMA}.{table}_default"
    # Attaching an existing table locks out neither readers nor writers of the other partitions.
    await _run(tx, f"create table {name} (like deploy.{table} including defaults including constraints)")
    await _run(tx, f"lock table {default} in access exclusive mode")
    await _run(
        tx,
        f"with moved as (delete from {default} where arrived_on = date '{day}' returning *)"  # noqa: S608 -- our date.
        f" insert into {name} select * from moved",
    )
    await _run(
        tx, f"alter table deploy.{table} attach partition {name} for values from ('{day}') to ('{day}'::date + 1)"
    )


async def drop(tx: Tx, name: str) -> None:
    """Drop a partition with its rows."""
    await _run(tx, f"drop table {name}")


async def expire_default(tx: Tx, table: str, before: date) -> None:
    """Remove old rows that went to the default partition."""
    await _run(tx, f"delete from {_SCHEMA}.{table}_default where arrived_on < date '{before}'")  # noqa: S608 -- our date.


async def lock(tx: Tx) -> None:
    """One replica at a time changes partitions, and none waits long for a table lock."""
    await _run(tx, "set local lock_timeout = '3s'")
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended("deploy.partitions", 0))))


async def _run(tx: Tx, statement: str) -> Any:
    return await tx.execute(sa.text(statement))
