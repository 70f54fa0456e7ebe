"""Revisions of services and stacks: noted with what makes them, read for history and rollback."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from services.deploy_svc.domain.revision import ServiceRevision, StackRevision, Version
from services.deploy_svc.store.jsonb import DOCUMENT, MOUNTS, SPEC
from services.deploy_svc.store.stack_tables import stack_revisions
from services.deploy_svc.store.tables import service_revisions
from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.pages import Listing, Page

R = TypeVar("R", ServiceRevision, StackRevision)

_s = service_revisions.c


def author() -> sa.BindParameter[str | None]:
    """Who made a revision, as the parameter `author` of a statement."""
    return sa.bindparam("author", type_=sa.Text)


def kept() -> sa.BindParameter[int]:
    """How many revisions are kept, as the parameter `kept` of a statement."""
    return sa.bindparam("kept", type_=sa.Integer)


def noting(made: sa.CTE) -> sa.CTE:
    """Notes the revision that a service got from a statement that makes or changes one and returns all its columns. Its
    parameter is `author`."""
    copied = ("revision", "spec", "exposed", "mounts")
    row = sa.select(made.c.id, *(made.c[name] for name in copied), author(), sa.func.now())
    return service_revisions.insert().from_select(["service_id", *copied, "author", "created_at"], row).cte("noted")


def trimming(made: sa.CTE) -> sa.CTE:
    """Removes the oldest revisions of a service beside `noting`. Its parameter is `kept`."""
    older = service_revisions.alias("older")
    # The new one is not seen here.
    oldest_kept = (
        sa.select(older.c.revision)
        .where(older.c.service_id == _s.service_id)
        .order_by(older.c.revision.desc())
        .offset(kept() - 2)
        .limit(1)
        .correlate(service_revisions)
        .scalar_subquery()
    )
    gone = service_revisions.delete().where(_s.service_id.in_(sa.select(made.c.id)), _s.revision < oldest_kept)
    return gone.cte("trimmed")


def _service_revision(row: Any) -> ServiceRevision:
    version = Version(SPEC.validate_python(row.spec), row.exposed, MOUNTS.validate_python(row.mounts))
    return ServiceRevision(row.revision, version, row.author, row.created_at)


def _stack_revision(row: Any) -> StackRevision:
    return StackRevision(row.revision, DOCUMENT.validate_python(row.document), row.author, row.created_at)


@dataclass(frozen=True, slots=True)
class Revisions(Generic[R]):
    """The kept revisions of services, or those of stacks: of which one, its id says."""

    _table: sa.Table
    _owner: sa.Column[Any]
    _row_to_revision: Callable[[Any], R]

    async def find(self, tx: Tx, owner_id: str, revision: int) -> R | None:
        """One of them, if it is kept."""
        return await self._first(tx, self._of(owner_id).where(self._table.c.revision == revision))

    async def history(self, tx: Tx, owner_id: str, page: Page) -> Listing[tuple[R, R | None]]:
        """All of them, newest first, each with the one before it."""
        query, number = self._of(owner_id), self._table.c.revision
        found: Listing[R] = await pages.read(
            tx, query, {"revision": number}, page, self._row_to_revision, newest_first=True
        )
        if not found:
            return Listing()
        older = query.where(number < found[-1].revision).order_by(number.desc()).limit(1)
        before: list[R | None] = list(found[1:])
        before.append(await self._first(tx, older))
        return Listing(zip(found, before, strict=True), found.next)

    async def numbers(self, tx: Tx, owner_id: str) -> list[int]:
        """Of all of them."""
        return sorted((await tx.execute(self._of(owner_id).with_only_columns(self._table.c.revision))).scalars())

    async def _first(self, tx: Tx, query: sa.Select[Any]) -> R | None:
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else self._row_to_revision(row)

    def _of(self, owner_id: str) -> sa.Select[Any]:
        return self._table.select().where(self._owner == owner_id)


OF_SERVICES = Revisions(service_revisions, _s.service_id, _service_revision)
OF_STACKS = Revisions(stack_revisions, stack_revisions.c.stack_id, _stack_revision)
