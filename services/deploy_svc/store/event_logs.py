"""Event logs: written by the engine and by nodes, read by id. Partitioned by day of arrival (partitions.py)."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from services.deploy_svc.domain.event import Event, StoredEvent
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import EventScope
from services.deploy_svc.domain.part import Part
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.store import tables
from services.deploy_svc.store.event_tables import EVENTS_ARRIVED, event_logs, event_positions
from services.deploy_svc.store.given import arrays, given_later
from services.deploy_svc.store.stack_tables import stacks
from services.kernel import locks
from services.kernel.db import Tx, run
from services.kernel.members import made_of, members
from services.kernel.statements import Statement

_t = event_logs
_p = event_positions
_s = tables.services

_LAST = (_p.c.node_id, _p.c.last_id)
_LONGEST_MESSAGE = 4000
# Executed once per event, so that it is compiled once however many there are.
_RECORD = _t.insert().values(time=sa.func.coalesce(sa.bindparam("at", type_=_t.c.time.type), sa.func.now()))


async def record(tx: Tx, *events: Event) -> None:
    """Store events in order and wake followers when the transaction commits.

    Call it LAST in a transaction: it holds a lock per grid until the end, so that ids grow in commit order, and
    whoever holds it must not wait for anything else. All events are of one grid.
    """
    if not events:
        return
    grid_id = events[0].grid_id
    # The notification leaves at the commit, wherever it stands.
    await tx.execute(sa.select(locks.EVENT_LOGS(grid_id), sa.func.pg_notify(EVENTS_ARRIVED, grid_id)))
    await tx.execute(_RECORD, [_row(event) for event in events])


_POSITIONS = Statement(
    sa.select(_p.c.node_id, _p.c.last_id).where(_p.c.node_id == sa.any_(sa.bindparam("nodes", type_=ARRAY(sa.Text))))
)


async def positions(tx: Tx, node_ids: Collection[str]) -> dict[str, str]:
    """Ids of the last events that were stored, by node."""
    return {row[0]: row[1] for row in await run(tx, _POSITIONS, nodes=sorted(node_ids))}


def _saving() -> ReturningInsert[Any]:
    rows = given_later("told", *_LAST)
    insert = upsert(_p).from_select([column.name for column in _LAST], sa.select(*rows.c))
    return insert.on_conflict_do_update(
        constraint="pk_event_positions", set_={"last_id": insert.excluded.last_id, "updated_at": sa.func.now()}
    ).returning(_p.c.node_id)


_SAVE_POSITIONS = Statement(_saving())


async def save_positions(tx: Tx, last: Mapping[str, str]) -> None:
    """Remember the last stored event of each node."""
    await run(tx, _SAVE_POSITIONS, **arrays(sorted(last.items()), *_LAST))


async def expire_positions(tx: Tx, before: date) -> None:
    """Forget nodes that fell silent long ago."""
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))


async def newest_id(tx: Tx, scope: EventScope) -> int:
    """Id of the last event of the grid; 0 when there is none."""
    if scope.empty:
        return 0
    query = sa.select(_t.c.id).where(_t.c.grid_id == scope.grid_id).order_by(_t.c.id.desc()).limit(1)
    return (await tx.execute(query)).scalar() or 0


async def select(tx: Tx, scope: EventScope, wanted: LogQuery) -> Part[StoredEvent]:
    """Events of the scope, oldest first: the first ones after `wanted.after`, or the last ones."""
    if scope.empty:
        return Part()
    events = _t.select().where(*_scoped(scope)).limit(wanted.limit)
    if wanted.since is not None:
        events = events.where(_t.c.time > wanted.since)
    if wanted.after is not None:
        events = events.where(_t.c.id > wanted.after).order_by(_t.c.id)
    else:
        events = events.order_by(_t.c.id.desc())
    found = events.subquery()
    there = sa.exists().where(stacks.c.grid_id == scope.grid_id, stacks.c.name == found.c.stack)
    query = (
        sa.select(found, _s.c.stack.label("of_stack"), _s.c.name.label("named"), there.label("stack_exists"))
        .select_from(found.outerjoin(_s, _s.c.id == found.c.service_id))
        .order_by(found.c.id)
    )
    return Part(map(_event, await tx.execute(query)))


def _scoped(scope: EventScope) -> list[sa.ColumnElement[bool]]:
    where = [_t.c.grid_id == scope.grid_id]
    for column, wanted in ((_t.c.service_id, scope.service_ids), (_t.c.node_id, scope.node_ids)):
        if wanted is not None:
            where.append(column.in_(sorted(wanted)))
    if scope.stacks is not None:
        where.append(_t.c.stack.in_(sorted(scope.stacks)))
    return where


def _row(event: Event) -> dict[str, Any]:
    return {**members(event, but=["time"]), "message": event.message[:_LONGEST_MESSAGE], "at": event.time}


def _event(row: Any) -> StoredEvent:
    stack = row.stack if row.stack_exists or row.stack == NULL_STACK else None
    service = None if row.named is None else (row.of_stack, row.named)
    return made_of(StoredEvent, row, stack=stack, service=service)
