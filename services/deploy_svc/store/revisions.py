"""Revisions of services and stacks: noted with what makes them, read for history and rollback."""

from typing import Any

import sqlalchemy as sa

from services.deploy_svc.domain.revision import Note, ServiceRevision, StackRevision, Version
from services.deploy_svc.store.jsonb import DOCUMENT, MOUNTS, SPEC
from services.deploy_svc.store.stack_tables import stack_revisions
from services.deploy_svc.store.tables import service_revisions
from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.pages import Listing, Page

_s, _t = service_revisions.c, stack_revisions.c


def noted(statement: sa.Insert | sa.Update, note: Note) -> sa.Select[Any]:
    """A statement that makes or changes one service and returns all its columns, together with the note of the revision
    it gets; the oldest revisions go."""
    made = statement.cte("made")
    copied = ("revision", "spec", "exposed", "mounts")
    row = sa.select(made.c.id, *(made.c[name] for name in copied), sa.literal(note.author, sa.Text), sa.func.now())
    insert = service_revisions.insert().from_select(["service_id", *copied, "author", "created_at"], row)
    older = service_revisions.alias("older")
    # The new one is not seen here.
    oldest_kept = (
        sa.select(older.c.revision)
        .where(older.c.service_id == _s.service_id)
        .order_by(older.c.revision.desc())
        .offset(note.kept - 2)
        .limit(1)
        .correlate(service_revisions)
        .scalar_subquery()
    )
    trim = service_revisions.delete().where(_s.service_id.in_(sa.select(made.c.id)), _s.revision < oldest_kept)
    return sa.select(made).add_cte(insert.cte("noted"), trim.cte("trimmed"))


async def of_service(tx: Tx, service_id: str, page: Page) -> Listing[ServiceRevision]:
    """The kept revisions, newest first."""
    query = service_revisions.select().where(_s.service_id == service_id)
    return await pages.read(tx, query, {"revision": _s.revision}, page, _service_revision, newest_first=True)


async def service_before(tx: Tx, service_id: str, revision: int) -> ServiceRevision | None:
    """The newest kept one that is older."""
    query = service_revisions.select().where(_s.service_id == service_id, _s.revision < revision)
    row = (await tx.execute(query.order_by(_s.revision.desc()).limit(1))).one_or_none()
    return None if row is None else _service_revision(row)


async def of_stack(tx: Tx, stack_id: str, page: Page) -> Listing[StackRevision]:
    """The kept revisions, newest first."""
    query = stack_revisions.select().where(_t.stack_id == stack_id)
    return await pages.read(tx, query, {"revision": _t.revision}, page, _stack_revision, newest_first=True)


async def stack_before(tx: Tx, stack_id: str, revision: int) -> StackRevision | None:
    """The newest kept one that is older."""
    query = stack_revisions.select().where(_t.stack_id == stack_id, _t.revision < revision)
    row = (await tx.execute(query.order_by(_t.revision.desc()).limit(1))).one_or_none()
    return None if row is None else _stack_revision(row)


async def service_revision(tx: Tx, service_id: str, revision: int) -> ServiceRevision | None:
    """One of them, if it is kept."""
    query = service_revisions.select().where(_s.service_id == service_id, _s.revision == revision)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _service_revision(row)


async def stack_revision(tx: Tx, stack_id: str, revision: int) -> StackRevision | None:
    """One of them, if it is kept."""
    query = stack_revisions.select().where(_t.stack_id == stack_id, _t.revision == revision)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _stack_revision(row)


async def kept(tx: Tx, *, service_id: str = "", stack_id: str = "") -> list[int]:
    """The numbers of those that are kept, of a service or of a stack."""
    own = (_s.revision, _s.service_id == service_id) if service_id else (_t.revision, _t.stack_id == stack_id)
    return list((await tx.execute(sa.select(own[0]).where(own[1]).order_by(own[0]))).scalars())


def _service_revision(row: Any) -> ServiceRevision:
    version = Version(SPEC.validate_python(row.spec), row.exposed, MOUNTS.validate_python(row.mounts))
    return ServiceRevision(row.revision, version, row.author, row.created_at)


def _stack_revision(row: Any) -> StackRevision:
    return StackRevision(row.revision, DOCUMENT.validate_python(row.document), row.author, row.created_at)
