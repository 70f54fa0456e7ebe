"""Container logs: COPY in, read by id. Partitioned by day of arrival (partitions.py)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition, StoredLine
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.part import Part
from services.deploy_svc.store import tables
from services.kernel.db import Tx, copy, notify
from services.kernel.members import made_of

_t = tables.container_logs
_p = tables.log_positions
_s = tables.services

# Lines that a search looks at before it answers; a long line counts as several.
SEARCHED = 25_000
_LINE_BYTES = 512

# Those of a line are its members, in their order.
_COLUMNS = ("grid_id", "node_id", "node", *LogLine._fields)
_READ = (
    _t.c.id,
    _t.c.container_id,
    _t.c.container_name,
    _t.c.node_id,
    _t.c.node,
    _t.c.time,
    _t.c.type,
    _t.c.data,
    _t.c.service_id,
    _t.c.hook,
)


async def positions(tx: Tx, node_id: str, container_ids: Collection[str]) -> dict[LogKey, LogPosition]:
    """The last stored lines of containers of a node."""
    query = sa.select(_p.c.container_id, _p.c.type, _p.c.time, _p.c.lines).where(
        _p.c.node_id == node_id, _p.c.container_id == sa.func.any(sa.cast(sorted(container_ids), ARRAY(sa.Text)))
    )
    return {(row.container_id, row.type): LogPosition(row.time, row.lines) for row in await tx.execute(query)}


async def append(tx: Tx, *, grid_id: str, node_id: str, node: str, lines: Sequence[LogLine]) -> None:
    """Store lines in order and wake followers of the grid. Call with the grid locked."""
    of_node = (grid_id, node_id, node)
    records = [of_node + line for line in lines]
    await copy(tx, _t, _COLUMNS, records)
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


async def newest_id(tx: Tx, scope: LogScope) -> int:
    """Id of the last line that the scope could show; 0 when there is none. Looked up in an index."""
    if scope.empty:
        return 0
    service = next(iter(scope.service_ids)) if scope.service_ids and len(scope.service_ids) == 1 else None
    where = _t.c.service_id == service if service is not None else _t.c.grid_id == scope.grid_id
    query = sa.select(_t.c.id).where(where).order_by(_t.c.id.desc()).limit(1)
    return (await tx.execute(query)).scalar() or 0


async def select(tx: Tx, scope: LogScope, wanted: LogQuery) -> Part[StoredLine]:
    """Lines of the scope, oldest first: the first ones after `wanted.after`, or the last ones. A search looks at
    `SEARCHED` lines at most."""
    if scope.empty:
        return Part()
    order = _t.c.id.desc() if wanted.after is None else _t.c.id
    found = _found(scope, wanted, order).subquery()
    query = (
        sa.select(*found.c, _s.c.stack, _s.c.name)
        .select_from(found.outerjoin(_s, _s.c.id == found.c.service_id))
        .order_by(found.c.id)
    )
    rows = (await tx.execute(query)).all()
    if wanted.search is None:
        return Part(map(_line, rows))
    lines = [_line(row) for row in rows if row.matches]
    ends = (row.id for row in rows if row.ends)
    return Part(lines, next(ends, None) if len(lines) < wanted.limit else None)


def _found(scope: LogScope, wanted: LogQuery, order: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The lines in order. Of a search also the line that it ends with, whether or not it `matches`."""
    lines = sa.select(*_READ).where(*_scoped(scope), *_filters(wanted)).order_by(order)
    if wanted.search is None:
        return lines.limit(wanted.limit)
    cost = 1 + sa.func.octet_length(_t.c.data) / _LINE_BYTES
    spent = sa.func.sum(cost).over(order_by=order).label("spent")
    looked = lines.add_columns(spent, cost.label("cost")).limit(SEARCHED).subquery()
    matches, ends = _contains(looked.c.data, wanted.search), looked.c.spent >= SEARCHED
    return (
        sa.select(*(looked.c[column.name] for column in _READ), matches.label("matches"), ends.label("ends"))
        # Its limit is what ends the search: nothing here may hide a line from it.
        .where(looked.c.spent - looked.c.cost < SEARCHED, ends | matches)
        .order_by(looked.c.id.desc() if wanted.after is None else looked.c.id)
        .limit(wanted.limit)
    )


def _contains(text: sa.ColumnElement[str], wanted: str) -> sa.ColumnElement[bool]:
    """Whether it has the wanted text in it, in any case."""
    if wanted.isascii():
        # Several times as fast as the rules of a language, which make no difference here.
        return sa.func.strpos(sa.func.lower(sa.collate(text, "C")), wanted.lower()) > 0
    return sa.func.strpos(sa.func.lower(text), sa.func.lower(wanted)) > 0


def _line(row: Any) -> StoredLine:
    return made_of(StoredLine, row, service=None if row.stack is None else (row.stack, row.name))


def _scoped(scope: LogScope) -> list[sa.ColumnElement[bool]]:
    where = [_t.c.grid_id == scope.grid_id]
    if scope.service_ids is not None:
        where.append(_t.c.service_id.in_(sorted(scope.service_ids)))
    if scope.node_ids is not None:
        where.append(_t.c.node_id.in_(sorted(scope.node_ids)))
    if scope.container_names is not None:
        where.append(_t.c.container_name.in_(sorted(scope.container_names)))
    if scope.container_id is not None:
        where.append(_t.c.container_id == scope.container_id)
    if scope.stack is not None:
        stack = sa.select(_s.c.id).where(_s.c.grid_id == scope.grid_id, _s.c.stack == scope.stack)
        where.append(_t.c.service_id.in_(stack))
    return where


def _filters(wanted: LogQuery) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if wanted.after is not None:
        filters.append(_t.c.id > wanted.after)
    if wanted.before is not None:
        filters.append(_t.c.id < wanted.before)
    if wanted.since is not None:
        filters.append(_t.c.time > wanted.since)
    if wanted.instance is not None:
        filters.append(_t.c.instance_number == wanted.instance)
    if wanted.container is not None:
        filters.append(_t.c.container_name == wanted.container)
    return filters


async def expire_positions(tx: Tx, before: date) -> None:
    """Remove positions of containers that fell silent long ago."""
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))
