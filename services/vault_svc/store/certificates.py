"""Queries and writes of certificates. Lists never read the texts or the encrypted keys."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page
from services.vault_svc.domain.certificate import Certificate, StoredCertificate
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.store.tables import certificates as t

_SHOWN = (
    t.c.id,
    t.c.grid_id,
    t.c.subject,
    t.c.alt_names,
    t.c.valid_from,
    t.c.valid_until,
    t.c.renewal_failures,
    t.c.renewal_error,
    t.c.next_renewal_at,
)


async def of_grid(tx: Tx, grid_id: str, page: Page = WHOLE) -> Listing[Certificate]:
    """All certificates of a grid by subject."""
    query = sa.select(*_SHOWN).where(t.c.grid_id == grid_id)
    return await pages.read(tx, query, {"subject": sa.collate(t.c.subject, "C")}, page, _certificate)


async def count(tx: Tx, grid_id: str) -> int:
    """How many the grid has."""
    query = sa.select(sa.func.count()).select_from(t).where(t.c.grid_id == grid_id)
    return int((await tx.execute(query)).scalar_one())


async def find(tx: Tx, grid_id: str, subject: str, *, lock: bool = False) -> Certificate | None:
    """One certificate, locked against other writers until the transaction ends when `lock` is set."""
    query = sa.select(*_SHOWN).where(t.c.grid_id == grid_id, t.c.subject == subject)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _certificate(row)


async def find_many(tx: Tx, grid_id: str, subjects: Collection[str] | None = None) -> list[StoredCertificate]:
    """Those of the certificates that exist, or all, with their keys, in one query."""
    query = t.select().where(t.c.grid_id == grid_id).order_by(t.c.subject)
    if subjects is not None:
        query = query.where(t.c.subject.in_(subjects))
    return [
        StoredCertificate(_certificate(row), row.certificate, row.chain, Sealed(row.key_id, row.sealed), row.directory)
        for row in await tx.execute(query)
    ]


async def existing(tx: Tx, grid_id: str, subjects: Collection[str]) -> list[str]:
    """Those of the subjects that exist, sorted; no key is read."""
    query = sa.select(t.c.subject).where(t.c.grid_id == grid_id, t.c.subject.in_(subjects))
    return sorted((await tx.execute(query)).scalars())


async def save(tx: Tx, stored: StoredCertificate) -> Certificate:
    """Store a certificate in place of an older one of the subject, whose id must have been kept."""
    shown = stored.shown
    values = {
        "id": shown.id,
        "grid_id": shown.grid_id,
        "subject": shown.subject,
        "alt_names": list(shown.alt_names),
        "valid_from": shown.valid_from,
        "valid_until": shown.valid_until,
        "certificate": stored.leaf,
        "chain": stored.chain,
        "directory": stored.directory,
        "key_id": stored.sealed.key_id,
        "sealed": stored.sealed.blob,
    }
    fresh = {"renewal_failures": 0, "renewal_error": None, "next_renewal_at": None}
    changed = {**values, **fresh, "updated_at": sa.func.now(), "version": t.c.version + 1}
    statement = (
        pg_insert(t)
        .values(**values)
        .on_conflict_do_update(index_elements=[t.c.grid_id, t.c.subject], set_=changed)
        .returning(*_SHOWN)
    )
    return _certificate((await tx.execute(statement)).one())


async def delete(tx: Tx, grid_id: str, subject: str) -> None:
    """Remove a certificate."""
    await tx.execute(t.delete().where(t.c.grid_id == grid_id, t.c.subject == subject))


async def claim_due(tx: Tx, margin: timedelta, hold: timedelta) -> Certificate | None:
    """The certificate whose renewal is most urgent, for this caller alone until `hold` is over; None when none is due.

    Due is what has less left than a third of its lifetime or than `margin`, and is not waiting after a failure.
    """
    left = sa.extract("epoch", t.c.valid_until - sa.func.now())
    third = sa.extract("epoch", t.c.valid_until - t.c.valid_from) / 3
    due = (
        sa.select(t.c.id)
        .where(left <= sa.func.greatest(third, margin.total_seconds()))
        .where(sa.or_(t.c.next_renewal_at.is_(None), t.c.next_renewal_at <= sa.func.now()))
        .order_by(t.c.valid_until)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claim = (
        t.update()
        .where(t.c.id.in_(due.scalar_subquery()))
        .values(next_renewal_at=sa.func.now() + sa.literal(hold, sa.Interval))
        .returning(*_SHOWN)
    )
    row = (await tx.execute(claim)).one_or_none()
    return None if row is None else _certificate(row)


async def renewal_failed(tx: Tx, certificate_id: str, error: str, pause: timedelta) -> None:
    """Note why a renewal failed, and when it is tried again."""
    change = t.update().where(t.c.id == certificate_id)
    await tx.execute(
        change.values(
            renewal_failures=t.c.renewal_failures + 1,
            renewal_error=error,
            next_renewal_at=sa.func.now() + sa.literal(pause, sa.Interval),
        )
    )


async def postpone(tx: Tx, certificate_id: str, pause: timedelta) -> None:
    """Look at a certificate again later; nothing failed."""
    change = t.update().where(t.c.id == certificate_id)
    await tx.execute(change.values(next_renewal_at=sa.func.now() + sa.literal(pause, sa.Interval)))


def _certificate(row: sa.Row[*tuple[Any, ...]]) -> Certificate:
    return made_of(Certificate, row, alt_names=tuple(row.alt_names))
