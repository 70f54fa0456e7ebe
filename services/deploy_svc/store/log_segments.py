"""Who has log lines in which segment of ids: written in the background, read to leave out what cannot match."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.log_segment import LINE_BYTES, PART_BITS, SIZE, SIZE_BITS, Segment, windows
from services.deploy_svc.store import tables
from services.kernel.db import Tx

_s = tables.log_streams
_b = tables.log_segments
# Of all streams together.
_ALL = 0
_UNSIGNED = 2**64 - 1

# Segments of before that one are complete.
_OPEN = "coalesce((select max(segment) + 1 from deploy.log_segments where stream_id = 0), 0)"
_NEXT = sa.text(f"select min(id) >> {SIZE_BITS} from deploy.container_logs where id >= {_OPEN} << {SIZE_BITS}")  # noqa: S608 -- ours.
_STREAM = "grid_id, node_id, container_id, container_name, service_id, instance_number"
_ADD = sa.text(
    "with found as materialized ("  # noqa: S608 -- ours.
    "select grid_id, node_id, container_id, container_name, coalesce(service_id, '') as service_id,"
    " coalesce(instance_number, 0) as instance_number, count(*) as lines, max(time) as newest,"
    f" sum(1 + octet_length(data) / {LINE_BYTES}) as cost,"
    f" bit_or(1::bigint << (id >> {PART_BITS} & {(SIZE >> PART_BITS) - 1})::integer) as parts"
    f" from deploy.container_logs where id between :first and :last group by 1, 2, 3, 4, 5, 6),"
    f" fresh as (insert into deploy.log_streams ({_STREAM}) select {_STREAM} from found"
    f" on conflict do nothing returning id, {_STREAM}),"
    f" streams as (select id, {_STREAM} from fresh union all"
    f" select id, {_STREAM} from deploy.log_streams join found using ({_STREAM}))"
    " insert into deploy.log_segments (stream_id, segment, lines, cost, newest, parts)"
    f" select id, cast(:segment as bigint), lines, cost, newest, parts from streams join found using ({_STREAM})"
    f" union all select {_ALL}, cast(:segment as bigint), sum(lines), sum(cost), max(newest), bit_or(parts) from found"
    " having count(*) > 0"
)
# Lines go when their day is over, or when their grid has too many.
_FORGET = (
    "with grids as (select grid_id from deploy.log_streams group by 1),"  # noqa: S608 -- ours.
    " begin as (select grid_id,"
    f" (select min(id) >> {SIZE_BITS} from deploy.container_logs l where l.grid_id = grids.grid_id) as segment"
    " from grids)"
    " delete from deploy.log_segments using deploy.log_streams join begin using (grid_id)"
    " where stream_id = log_streams.id and (begin.segment is null or log_segments.segment < begin.segment)",
    f"delete from deploy.log_segments where stream_id = {_ALL} and segment < coalesce("  # noqa: S608 -- ours.
    f"(select min(id) >> {SIZE_BITS} from deploy.container_logs), segment + 1)",
    "delete from deploy.log_streams s where not exists (select from deploy.log_segments where stream_id = s.id)",
)


async def newest_line(tx: Tx) -> int:
    """The newest id that a line may have by now, committed or not."""
    return int((await tx.execute(sa.text("select last_value from deploy.container_logs_id_seq"))).scalar_one())


async def transaction(tx: Tx) -> int:
    """The number of this transaction; those that begin to write later have a higher one."""
    return int((await tx.execute(sa.text("select cast(pg_current_xact_id() as text)"))).scalar_one())


async def oldest_transaction(tx: Tx) -> int:
    """The lowest number of a transaction that is not over, or of one that is to come."""
    query = sa.text("select cast(pg_snapshot_xmin(pg_current_snapshot()) as text)")
    return int((await tx.execute(query)).scalar_one())


async def open_segment(tx: Tx) -> int:
    """The first segment that is not complete: what is there and behind it, only reading its lines tells."""
    return int((await tx.execute(sa.text(f"select {_OPEN}"))).scalar_one())


async def next_segment(tx: Tx) -> int | None:
    """The first segment with lines that is not complete."""
    return (await tx.execute(_NEXT)).scalar()


async def add(tx: Tx, segment: int) -> None:
    """Write down who has lines in a segment, of which nobody writes any more. Call it with LOG_SEGMENTS locked."""
    await tx.execute(_ADD, {"segment": segment, "first": segment << SIZE_BITS, "last": (segment + 1 << SIZE_BITS) - 1})


async def forget(tx: Tx) -> None:
    """Remove what is known of lines that are gone. Call it with LOG_SEGMENTS locked."""
    for statement in _FORGET:
        await tx.execute(sa.text(statement))


async def streams(tx: Tx, scope: LogScope, wanted: LogQuery) -> list[int]:
    """Ids of the streams whose lines the scope and the filters may show."""
    where = [_s.c.grid_id == scope.grid_id]
    for column, among in (
        (_s.c.service_id, scope.service_ids),
        (_s.c.node_id, scope.node_ids),
        (_s.c.container_name, scope.container_names),
    ):
        if among is not None:
            where.append(column.in_(sorted(among)))
    for column, value in (
        (_s.c.container_id, scope.container_id),
        (_s.c.container_name, wanted.container),
        (_s.c.instance_number, wanted.instance),
    ):
        if value is not None:
            where.append(column == value)
    return list((await tx.execute(sa.select(_s.c.id).where(*where))).scalars())


async def of_streams(
    tx: Tx, ids: Sequence[int], first: int, last: int, *, since: datetime | None, newest_first: bool
) -> AsyncIterator[list[Segment]]:
    """The segments from `first` to `last` with lines of the streams, some at a time, in order. Only those that may have
    one after `since`."""
    if since is not None:
        begin = sa.select(sa.func.min(_b.c.segment)).where(_b.c.stream_id == _ALL, _b.c.newest > since)
        found = (await tx.execute(begin)).scalar()
        first = last + 1 if found is None else max(first, found)
    order = _b.c.segment.desc() if newest_first else _b.c.segment
    for low, high in windows(first, last, newest_first=newest_first):
        sums = (sa.func.sum(_b.c.lines), sa.func.sum(_b.c.cost), sa.func.bit_or(_b.c.parts))
        query = (
            sa.select(_b.c.segment, *sums)
            .where(_b.c.stream_id == sa.func.any(sa.cast(ids, ARRAY(sa.BigInteger))), _b.c.segment.between(low, high))
            .group_by(_b.c.segment)
            .order_by(order)
        )
        if since is not None:
            query = query.where(_b.c.newest > since)
        rows = (await tx.execute(query)).all()
        yield [Segment(segment, int(lines), int(cost), parts & _UNSIGNED) for segment, lines, cost, parts in rows]
