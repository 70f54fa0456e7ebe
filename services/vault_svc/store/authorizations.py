"""Queries and writes of domain authorizations. Writers hold the lease of the grid."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.members import made_of, members
from services.kernel.pages import WHOLE, Listing, Page
from services.vault_svc.domain.acme import Challenge
from services.vault_svc.domain.authorization import Authorization
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.store.tables import authorizations as t


async def of_grid(
    tx: Tx, grid_id: str, domains: Collection[str] | None = None, page: Page = WHOLE
) -> Listing[Authorization]:
    """The authorizations of a grid by domain, or those of them that are for the domains."""
    query = t.select().where(t.c.grid_id == grid_id)
    if domains is not None:
        query = query.where(t.c.domain.in_(domains))
    return await pages.read(tx, query, {"domain": sa.collate(t.c.domain, "C")}, page, _authorization)


async def count(tx: Tx, grid_id: str) -> int:
    """How many the grid has."""
    query = sa.select(sa.func.count()).select_from(t).where(t.c.grid_id == grid_id)
    return int((await tx.execute(query)).scalar_one())


async def find(tx: Tx, grid_id: str, domain: str) -> Authorization | None:
    """One authorization."""
    found = await of_grid(tx, grid_id, [domain])
    return found[0] if found else None


async def linked_to(tx: Tx, grid_id: str, services: Collection[str]) -> list[Authorization]:
    """Authorizations that are published by the services (`stack/service`)."""
    query = t.select().where(t.c.grid_id == grid_id, t.c.linked_service.in_(services)).order_by(t.c.domain)
    return [_authorization(row) for row in await tx.execute(query)]


async def save(tx: Tx, authorization: Authorization) -> None:
    """Store an authorization in place of an older one of the domain."""
    values = _values(authorization)
    changed = {**values, "updated_at": sa.func.now(), "version": t.c.version + 1}
    statement = pg_insert(t).values(**values)
    await tx.execute(statement.on_conflict_do_update(index_elements=[t.c.grid_id, t.c.domain], set_=changed))


async def delete(tx: Tx, grid_id: str, domain: str) -> Authorization | None:
    """Remove an authorization; None when there is none."""
    gone = t.delete().where(t.c.grid_id == grid_id, t.c.domain == domain).returning(t)
    row = (await tx.execute(gone)).one_or_none()
    return None if row is None else _authorization(row)


def _values(one: Authorization) -> dict[str, Any]:
    return {
        **members(one, but=("challenge", "sealed")),
        "challenge": asdict(one.challenge),
        "key_id": one.sealed.key_id if one.sealed else None,
        "sealed": one.sealed.blob if one.sealed else None,
    }


def _authorization(row: sa.Row[*tuple[Any, ...]]) -> Authorization:
    sealed = Sealed(row.key_id, row.sealed) if row.sealed is not None else None
    return made_of(Authorization, row, challenge=Challenge(**row.challenge), sealed=sealed)
