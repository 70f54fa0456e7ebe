"""The audit log of the whole suite."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.auth_svc.domain.audit_entry import AuditEntry, RecordedEntry
from services.auth_svc.domain.audit_page import Page
from services.auth_svc.store.tables import audit_logs
from services.kernel.db import Database, Tx
from services.kernel.members import made_of
from services.kernel.statements import Statement

_MEMBERS = [field.name for field in fields(AuditEntry)]


def _add() -> Statement:
    """Its parameters are columns, so that it is the same for any number of entries."""
    columns = [audit_logs.c[name] for name in _MEMBERS]
    given = sa.func.unnest(*(sa.bindparam(column.name, type_=ARRAY(column.type)) for column in columns))
    entries = given.table_valued(*(sa.column(column.name, column.type) for column in columns)).render_derived()
    added = insert(audit_logs).from_select(_MEMBERS, sa.select(*entries.c)).on_conflict_do_nothing()
    return Statement(added.returning(audit_logs.c.seq))


_ADD = _add()


async def add(db: Database, entries: Sequence[AuditEntry]) -> None:
    """Store each entry once by its event id; known ones are left as they are."""
    if entries:
        await db.fetch(_ADD, **{name: [getattr(entry, name) for entry in entries] for name in _MEMBERS})


async def find(tx: Tx, page: Page, grid_id: str | None = None) -> list[RecordedEntry]:
    """A part of the log, oldest entry first; of one grid when `grid_id` is given."""
    statement = sa.select(audit_logs).order_by(audit_logs.c.seq.desc()).limit(page.limit)
    if grid_id is not None:
        statement = statement.where(audit_logs.c.grid_id == grid_id)
    if page.before is not None:
        statement = statement.where(audit_logs.c.seq < page.before)
    rows = (await tx.execute(statement)).all()
    return [RecordedEntry(row.seq, made_of(AuditEntry, row)) for row in rows[::-1]]


async def forget_older(tx: Tx, kept: timedelta, limit: int) -> int:
    """Remove at most `limit` entries from before the time that is kept, oldest first; returns how many."""
    old = (
        sa.select(audit_logs.c.event_id)
        .where(audit_logs.c.time < sa.func.now() - kept)
        .order_by(audit_logs.c.time)
        .limit(limit)
        # What another replica is removing is not waited for.
        .with_for_update(skip_locked=True)
        # Materialized: the limit is then kept, however often the planner looks.
        .cte("old")
        .prefix_with("materialized", dialect="postgresql")
    )
    gone = audit_logs.delete().where(audit_logs.c.event_id == old.c.event_id)
    result = await tx.execute(gone)
    return int(result.rowcount)
