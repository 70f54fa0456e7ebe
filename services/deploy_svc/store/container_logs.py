"""Container logs: COPY in, read by id. Partitioned by day of arrival.

Partitions live in a schema of their own, `deploy_partitions`, so that the schema of the service shows what the
migrations made and nothing else. Each coming day gets one ahead of time; a default partition takes what arrives when
nobody made one, so that a writer never fails for it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition, StoredLine
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.store import tables
from services.kernel.db import Tx, notify, raw_connection

_t = tables.container_logs
_p = tables.log_positions

_SCHEMA = "deploy_partitions"
_PREFIX = "container_logs_"
_DEFAULT = f"{_SCHEMA}.{_PREFIX}default"
_COLUMNS = (
    "grid_id",
    "node_id",
    "node",
    "service_id",
    "instance_number",
    "container_name",
    "container_id",
    "time",
    "type",
    "data",
)
_READ = (_t.c.id, _t.c.container_id, _t.c.container_name, _t.c.node_id, _t.c.node, _t.c.time, _t.c.type, _t.c.data)


async def lock_grid(tx: Tx, grid_id: str) -> None:
    """One writer per grid at a time, until the transaction ends: ids grow in commit order."""
    key = sa.func.hashtextextended(f"deploy.container_logs/{grid_id}", 0)
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def positions(tx: Tx, node_id: str, container_ids: Collection[str]) -> dict[LogKey, LogPosition]:
    """The last stored lines of containers of a node."""
    query = sa.select(_p.c.container_id, _p.c.type, _p.c.time, _p.c.lines).where(
        _p.c.node_id == node_id, _p.c.container_id == sa.func.any(sa.cast(sorted(container_ids), ARRAY(sa.Text)))
    )
    return {(row.container_id, row.type): LogPosition(row.time, row.lines) for row in await tx.execute(query)}


async def known_services(tx: Tx, grid_id: str, service_ids: Collection[str]) -> set[str]:
    """Those of the service ids that belong to the grid."""
    table = tables.services
    query = sa.select(table.c.id).where(table.c.grid_id == grid_id, table.c.id.in_(service_ids))
    return set((await tx.execute(query)).scalars()) if service_ids else set()


async def append(tx: Tx, *, grid_id: str, node_id: str, node: str, lines: Sequence[LogLine]) -> None:
    """Store lines in order and wake followers of the grid. Call with the grid locked."""
    connection = await raw_connection(tx)
    records = [
        (
            grid_id,
            node_id,
            node,
            line.service_id,
            line.instance_number,
            line.container_name,
            line.container_id,
            line.time,
            line.type,
            line.data,
        )
        for line in lines
    ]
    await connection.copy_records_to_table(
        _t.name, schema_name=tables.metadata.schema, columns=_COLUMNS, records=records
    )
    await notify(tx, tables.LOGS_ARRIVED, grid_id)


async def save_positions(tx: Tx, node_id: str, new: Mapping[LogKey, LogPosition]) -> None:
    """Store positions."""
    rows = [
        {"node_id": node_id, "container_id": key[0], "type": key[1], "time": position.time, "lines": position.lines}
        for key, position in sorted(new.items())
    ]
    insert = upsert(_p).values(rows)
    changed = {"time": insert.excluded.time, "lines": insert.excluded.lines, "updated_at": sa.func.now()}
    await tx.execute(insert.on_conflict_do_update(constraint="pk_log_positions", set_=changed))


async def newest_id(tx: Tx, service_id: str) -> int:
    """Id of the last line of a service; 0 when there is none."""
    query = sa.select(_t.c.id).where(_t.c.service_id == service_id).order_by(_t.c.id.desc()).limit(1)
    return (await tx.execute(query)).scalar() or 0


async def select(tx: Tx, service_id: str, wanted: LogQuery) -> list[StoredLine]:
    """Lines of a service, oldest first: the first ones after `wanted.after`, or the last ones."""
    query = sa.select(*_READ).where(_t.c.service_id == service_id, *_filters(wanted)).limit(wanted.limit)
    if wanted.after is not None:
        query = query.where(_t.c.id > wanted.after).order_by(_t.c.id)
        return [StoredLine(*row) for row in await tx.execute(query)]
    rows = (await tx.execute(query.order_by(_t.c.id.desc()))).all()
    return [StoredLine(*row) for row in reversed(rows)]


def _filters(wanted: LogQuery) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if wanted.since is not None:
        filters.append(_t.c.time > wanted.since)
    if wanted.instance is not None:
        filters.append(_t.c.instance_number == wanted.instance)
    if wanted.container is not None:
        filters.append(_t.c.container_name == wanted.container)
    if wanted.search is not None:
        filters.append(sa.func.strpos(sa.func.lower(_t.c.data), sa.func.lower(wanted.search)) > 0)
    return filters


async def today(tx: Tx) -> date:
    """The day of the database, as `arrived_on` counts it."""
    day: date = (await tx.execute(sa.text("select current_date"))).scalar_one()
    return day


async def partitions(tx: Tx) -> dict[date, str]:
    """The daily partitions by day."""
    query = sa.text(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'deploy.container_logs'::regclass and c.relname ~ '^container_logs_[0-9]{8}$'"
    )
    names = (await tx.execute(query)).scalars()
    return {date.fromisoformat(name.removeprefix(_PREFIX)): f"{_SCHEMA}.{name}" for name in names}


async def create_partition(tx: Tx, day: date) -> None:
    """Make the partition of a day, taking over lines of that day from the default partition."""
    name = f"{_SCHEMA}.{_PREFIX}{day:%Y%m%d}"
    # Attaching an existing table locks out neither readers nor writers of the other partitions.
    await _run(tx, f"create table {name} (like deploy.container_logs including defaults including constraints)")
    await _run(tx, f"lock table {_DEFAULT} in access exclusive mode")
    await _run(
        tx,
        f"with moved as (delete from {_DEFAULT} where arrived_on = date '{day}' returning *)"  # noqa: S608 -- our date.
        f" insert into {name} select * from moved",
    )
    await _run(
        tx,
        f"alter table deploy.container_logs attach partition {name} for values from ('{day}') to ('{day}'::date + 1)",
    )


async def drop_partition(tx: Tx, name: str) -> None:
    """Drop a partition with its lines."""
    await _run(tx, f"drop table {name}")


async def expire(tx: Tx, before: date) -> None:
    """Remove old lines that went to the default partition, and positions of containers that fell silent long ago."""
    await _run(tx, f"delete from {_DEFAULT} where arrived_on < date '{before}'")  # noqa: S608 -- our date.
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))


async def lock_partitions(tx: Tx) -> None:
    """One replica at a time changes partitions, and none waits long for a table lock."""
    await _run(tx, "set local lock_timeout = '3s'")
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended("deploy.partitions", 0))))


async def _run(tx: Tx, statement: str) -> Any:
    return await tx.execute(sa.text(statement))
