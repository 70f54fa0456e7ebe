"""Queries and writes of external registries. Lists never read the encrypted passwords."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.pages import WHOLE, Listing, Page
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.domain.registry import Registry, RegistryInput, StoredRegistry
from services.vault_svc.store.tables import registries as t

_SHOWN = (t.c.id, t.c.grid_id, t.c.name, t.c.url, t.c.username, t.c.email, t.c.created_at)


async def of_grid(tx: Tx, grid_id: str, page: Page = WHOLE) -> Listing[Registry]:
    """All registries of a grid by name."""
    query = sa.select(*_SHOWN).where(t.c.grid_id == grid_id)
    return await pages.read(tx, query, {"name": sa.collate(t.c.name, "C")}, page, _registry)


async def count(tx: Tx, grid_id: str) -> int:
    """How many the grid has."""
    query = sa.select(sa.func.count()).select_from(t).where(t.c.grid_id == grid_id)
    return int((await tx.execute(query)).scalar_one())


async def find(tx: Tx, grid_id: str, name: str) -> Registry | None:
    """One registry."""
    query = sa.select(*_SHOWN).where(t.c.grid_id == grid_id, t.c.name == name)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _registry(row)


async def find_many(tx: Tx, grid_id: str, names: Collection[str] | None = None) -> list[StoredRegistry]:
    """Those of the named registries that exist, or all, with their passwords, in one query."""
    query = sa.select(*_SHOWN, t.c.key_id, t.c.sealed).where(t.c.grid_id == grid_id).order_by(t.c.name)
    if names is not None:
        query = query.where(t.c.name.in_(names))
    return [StoredRegistry(_registry(row), Sealed(row.key_id, row.sealed)) for row in await tx.execute(query)]


async def insert(tx: Tx, registry_id: str, grid_id: str, given: RegistryInput, sealed: Sealed) -> Registry | None:
    """Add a registry; None when the name is taken."""
    values = {"id": registry_id, "grid_id": grid_id, "name": given.name, "url": given.url, "username": given.username}
    statement = (
        pg_insert(t)
        .values(**values, email=given.email, key_id=sealed.key_id, sealed=sealed.blob)
        .on_conflict_do_nothing(index_elements=[t.c.grid_id, t.c.name])
        .returning(*_SHOWN)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _registry(row)


async def delete(tx: Tx, grid_id: str, name: str) -> Registry | None:
    """Remove a registry; None when there is none."""
    gone = t.delete().where(t.c.grid_id == grid_id, t.c.name == name).returning(*_SHOWN)
    row = (await tx.execute(gone)).one_or_none()
    return None if row is None else _registry(row)


def _registry(row: sa.Row[*tuple[Any, ...]]) -> Registry:
    return Registry(row.id, row.grid_id, row.name, row.url, row.username, row.email, row.created_at)
