"""Queries and writes of secrets. Lists never read the encrypted values."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel.db import Database, Tx, run
from services.kernel.kept import Version, version_columns
from services.kernel.pages import WHOLE, Listing, Page, PreparedPages
from services.kernel.statements import Statement
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.domain.secret import Secret, StoredSecret
from services.vault_svc.store.tables import secrets as t

_SHOWN = (t.c.id, t.c.grid_id, t.c.name, t.c.created_at, t.c.updated_at)
_STORED = (*_SHOWN, t.c.key_id, t.c.sealed, t.c.version)
_VERSION = version_columns(t)


_OF_GRID = PreparedPages(
    sa.select(t.c.id, *_VERSION, t.c.name).where(t.c.grid_id == sa.bindparam("grid_id")),
    {"name": sa.collate(t.c.name, "C")},
)
_FIND = Statement(sa.select(*_STORED).where(t.c.grid_id == sa.bindparam("grid_id"), t.c.name == sa.bindparam("name")))


@dataclass(frozen=True, slots=True)
class CurrentSecret:
    """The version of a secret that counts now."""

    id: str
    version: Version
    name: str


async def of_grid(db: Database, grid_id: str, page: Page = WHOLE) -> Listing[CurrentSecret]:
    """All secrets of a grid by name, upper case before lower case on every installation."""
    return await _OF_GRID.read(
        db, page, lambda row: CurrentSecret(row.id, (row.xmin, row.ctid), row.name), grid_id=grid_id
    )


async def names(tx: Tx, grid_id: str) -> list[str]:
    """The names of all secrets of a grid."""
    return list((await tx.execute(sa.select(t.c.name).where(t.c.grid_id == grid_id))).scalars())


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Secret]]:
    """Secrets by id with the versions that they have now; no value is read."""
    found = await tx.execute(sa.select(*_SHOWN, *_VERSION).where(t.c.id.in_(ids)))
    return [(row.id, (row.xmin, row.ctid), _secret(row)) for row in found]


async def stored(db: Database, grid_id: str, name: str) -> StoredSecret | None:
    """One secret with its encrypted value, as it is now."""
    rows = await db.fetch(_FIND, grid_id=grid_id, name=name)
    return _stored(rows[0]) if rows else None


def _held(grid_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    size = sa.func.coalesce(sa.func.sum(sa.func.octet_length(t.c.sealed)), 0)
    return sa.select(sa.func.count().label("secrets"), size.label("bytes")).where(t.c.grid_id == grid_id)


_before = _held(sa.bindparam("grid_id")).cte("before")
_INSERT = Statement(
    pg_insert(t)
    .values({name: sa.bindparam(name) for name in ("id", "grid_id", "name", "key_id", "sealed")})
    .on_conflict_do_nothing(index_elements=[t.c.grid_id, t.c.name])
    .returning(
        *_SHOWN,
        sa.select(_before.c.secrets).scalar_subquery().label("secrets"),
        sa.select(_before.c.bytes).scalar_subquery().label("bytes"),
    )
)


async def held(tx: Tx, grid_id: str) -> tuple[int, int]:
    """How many secrets the grid has, and how many bytes their encrypted values take."""
    row = (await tx.execute(_held(sa.literal(grid_id)))).one()
    return int(row[0]), int(row[1])


async def lock(tx: Tx, grid_id: str, name: str) -> StoredSecret | None:
    """One secret, locked against other writers until the transaction ends."""
    query = sa.select(*_STORED).where(t.c.grid_id == grid_id, t.c.name == name).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _stored(row)


async def find_many(tx: Tx, grid_id: str, names: Collection[str]) -> list[StoredSecret]:
    """Those of the named secrets that exist, in one query."""
    rows = await tx.execute(sa.select(*_STORED).where(t.c.grid_id == grid_id, t.c.name.in_(names)))
    return [_stored(row) for row in rows]


async def existing(tx: Tx, grid_id: str, names: Collection[str]) -> list[str]:
    """Those of the names that exist, sorted; no value is read."""
    query = sa.select(t.c.name).where(t.c.grid_id == grid_id, t.c.name.in_(names))
    return sorted((await tx.execute(query)).scalars())


async def insert(
    tx: Tx, secret_id: str, grid_id: str, name: str, sealed: Sealed
) -> tuple[Secret, tuple[int, int]] | None:
    """Add a secret, and say what the grid `held` before; None when the name is taken, also by a transaction that
    commits while this one waits."""
    values = {"id": secret_id, "grid_id": grid_id, "name": name, "key_id": sealed.key_id, "sealed": sealed.blob}
    rows = await run(tx, _INSERT, **values)
    return next(((_secret(row), (int(row.secrets), int(row.bytes))) for row in rows), None)


async def replace(tx: Tx, secret_id: str, sealed: Sealed) -> Secret:
    """Store another value of a secret that this transaction has locked."""
    change = (
        t.update()
        .where(t.c.id == secret_id)
        .values(key_id=sealed.key_id, sealed=sealed.blob, updated_at=sa.func.now(), version=t.c.version + 1)
        .returning(*_SHOWN)
    )
    return _secret((await tx.execute(change)).one())


async def delete(tx: Tx, grid_id: str, name: str) -> Secret | None:
    """Remove a secret; None when there is none."""
    gone = t.delete().where(t.c.grid_id == grid_id, t.c.name == name).returning(*_SHOWN)
    row = (await tx.execute(gone)).one_or_none()
    return None if row is None else _secret(row)


def _secret(row: Any) -> Secret:
    return Secret(row.id, row.grid_id, row.name, row.created_at, row.updated_at)


def _stored(row: Any) -> StoredSecret:
    return StoredSecret(_secret(row), Sealed(row.key_id, row.sealed), row.version)
