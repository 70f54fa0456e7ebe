"""Queries and writes of stacks and their revisions. Times come from the clock of the database."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.stack import Document, Stack
from services.deploy_svc.store import stack_tables
from services.deploy_svc.store.jsonb import DOCUMENT, to_json
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id
from services.kernel.members import made_of

_t = stack_tables.stacks
_r = stack_tables.stack_revisions
_d = stack_tables.stack_deploys

_UNIQUE_NAME = "uq_stacks_grid_id_name"


def _with_document(document: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(_t, document.label("document"), _r.c.created_at.label("revised_at")).select_from(
        _t.join(_r, sa.and_(_r.c.stack_id == _t.c.id, _r.c.revision == _t.c.revision))
    )


_joined = _with_document(_r.c.document)
# Answers do not show the services of a document.
without_services = _with_document(
    _r.c.document.op("-", return_type=_r.c.document.type)(sa.literal("services", sa.Text))
)


async def find(tx: Tx, grid_id: str, name: str, *, lock: bool = False) -> Stack | None:
    """The stack with a name; with `lock`, nobody else changes it before the transaction ends."""
    where = sa.and_(_t.c.grid_id == grid_id, _t.c.name == name)
    if lock:
        # By itself: a join that waits for a lock goes on with the old row of the table that is not locked.
        await tx.execute(sa.select(_t.c.id).where(where).with_for_update(key_share=True))
    row = (await tx.execute(_joined.where(where))).one_or_none()
    return None if row is None else row_to_stack(row)


async def existing(tx: Tx, grid_id: str, names: Collection[str]) -> set[str]:
    """Those of the names that are stacks of the grid; the `null` stack always is."""
    asked = set(names) - {NULL_STACK}
    query = sa.select(_t.c.name).where(_t.c.grid_id == grid_id, _t.c.name.in_(sorted(asked)))
    found = set((await tx.execute(query)).scalars()) if asked else set()
    return found | ({NULL_STACK} & set(names))


async def insert(
    tx: Tx, *, grid_id: str, grid: str, name: str, parent_name: str | None, document: Document, note: Note
) -> bool:
    """A new stack with revision 1; False when the name is taken."""
    stack_id = new_id()
    values = {"id": stack_id, "grid_id": grid_id, "grid": grid, "name": name, "parent_name": parent_name}
    made = await tx.execute(pg_insert(_t).values(values).on_conflict_do_nothing(constraint=_UNIQUE_NAME))
    if not made.rowcount:
        return False
    first = {"stack_id": stack_id, "revision": 1, "document": to_json(DOCUMENT, document), "author": note.author}
    await tx.execute(_r.insert().values(first))
    return True


async def revise(tx: Tx, stack: Stack, document: Document, note: Note) -> None:
    """Add a revision; the oldest go. Call with the stack locked."""
    number = stack.revision + 1
    new = {"stack_id": stack.id, "revision": number, "document": to_json(DOCUMENT, document), "author": note.author}
    await tx.execute(_r.insert().values(new))
    await tx.execute(_t.update().where(_t.c.id == stack.id).values(revision=number))
    await tx.execute(_r.delete().where(_r.c.stack_id == stack.id, _r.c.revision <= number - note.kept))


async def request_removal(tx: Tx, stack: Stack) -> None:
    """The remover takes over; deploys that go on end here. Call with the stack locked."""
    await tx.execute(
        _d.update()
        .where(_d.c.stack_id == stack.id, _d.c.finished_at.is_(None))
        .values(
            state="error",
            reason=f"Aborted: the stack {stack.path} is being removed",
            finished_at=sa.func.clock_timestamp(),
        )
    )
    values = {"removed_at": sa.func.coalesce(_t.c.removed_at, sa.func.now()), "due_at": sa.func.now()}
    await tx.execute(_t.update().where(_t.c.id == stack.id).values(values))
    await notify(tx, stack_tables.STACK_CHANGED, stack.id)


def row_to_stack(row: Any) -> Stack:
    """A stack from a row with its latest revision."""
    return made_of(Stack, row, document=DOCUMENT.validate_python(row.document), updated_at=row.revised_at)
