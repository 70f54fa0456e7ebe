"""Queries and writes of secrets. Lists never read the encrypted values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel import audit
from services.kernel.db import AnyTx, Database, Tx, run, run_last
from services.kernel.kept import Version, version_columns
from services.kernel.pages import WHOLE, Listing, Page, PreparedPages
from services.kernel.quotas import Counts
from services.kernel.statements import Statement
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.domain.secret import Secret, StoredSecret
from services.vault_svc.store.tables import outbox
from services.vault_svc.store.tables import secrets as t

_SHOWN = (t.c.id, t.c.grid_id, t.c.name, t.c.created_at, t.c.updated_at)
_STORED = (*_SHOWN, t.c.key_id, t.c.sealed, t.c.version)
_VERSION = version_columns(t)


_OF_GRID = PreparedPages(
    sa.select(t.c.id, *_VERSION, t.c.name).where(t.c.grid_id == sa.bindparam("grid_id")),
    {"name": sa.collate(t.c.name, "C")},
)
_find = sa.select(*_STORED).where(t.c.grid_id == sa.bindparam("grid_id"), t.c.name == sa.bindparam("name"))
_FIND, _SHOW = Statement(_find), audit.audited(outbox, _find)


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


async def show(db: Database, grid_id: str, name: str, event: Mapping[str, str]) -> StoredSecret | None:
    """As `stored`, for somebody, who leaves the event (`audit.event`) with it."""
    rows = await db.fetch(_SHOW, grid_id=grid_id, name=name, **event)
    return _stored(rows[0]) if rows else None


_HELD = Statement(
    sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.octet_length(t.c.sealed)), 0)).where(
        t.c.grid_id == sa.bindparam("grid_id")
    )
)
_LOCK = Statement(
    sa.select(*_STORED)
    .where(t.c.grid_id == sa.bindparam("grid_id"), t.c.name == sa.bindparam("name"))
    .with_for_update()
)
_made = (
    pg_insert(t)
    .values({name: sa.bindparam(name) for name in ("id", "grid_id", "name", "key_id", "sealed")})
    .on_conflict_do_nothing(index_elements=[t.c.grid_id, t.c.name])
    .returning(*_SHOWN)
    .cte("made")
)
_INSERT = Statement(outbox.telling(_made, *_made.c))
_changed = (
    t.update()
    .where(t.c.id == sa.bindparam("secret_id"))
    .values(
        key_id=sa.bindparam("new_key_id"),
        sealed=sa.bindparam("new_sealed"),
        updated_at=sa.func.now(),
        version=t.c.version + 1,
    )
    .returning(*_SHOWN)
    .cte("changed")
)
_REPLACE = Statement(outbox.telling(_changed, *_changed.c))


async def held(tx: AnyTx, grid_id: str) -> Counts:
    """How many secrets the grid has, and how many bytes their encrypted values take."""
    [row] = await run(tx, _HELD, grid_id=grid_id)
    return {"secrets_per_grid": int(row[0]), "secret_bytes_per_grid": int(row[1])}


async def lock(tx: AnyTx, grid_id: str, name: str) -> StoredSecret | None:
    """One secret, locked against other writers until the transaction ends."""
    rows = await run(tx, _LOCK, grid_id=grid_id, name=name)
    return _stored(rows[0]) if rows else None


async def find_many(tx: Tx, grid_id: str, names: Collection[str]) -> list[StoredSecret]:
    """Those of the named secrets that exist, in one query."""
    rows = await tx.execute(sa.select(*_STORED).where(t.c.grid_id == grid_id, t.c.name.in_(names)))
    return [_stored(row) for row in rows]


async def existing(tx: Tx, grid_id: str, names: Collection[str]) -> list[str]:
    """Those of the names that exist, sorted; no value is read."""
    query = sa.select(t.c.name).where(t.c.grid_id == grid_id, t.c.name.in_(names))
    return sorted((await tx.execute(query)).scalars())


async def insert(
    tx: AnyTx, new: tuple[str, str, str], sealed: Sealed, message: Mapping[str, str], *, last: bool
) -> Secret | None:
    """Add a secret of an id, a grid (id) and a name, with a message about it; None when the name is taken, also by a
    transaction that commits while this one waits."""
    values = {**dict(zip(("id", "grid_id", "name"), new, strict=True)), "key_id": sealed.key_id, "sealed": sealed.blob}
    rows = await (run_last if last else run)(tx, _INSERT, **values, **message)
    return _secret(rows[0]) if rows else None


async def replace(tx: AnyTx, secret_id: str, sealed: Sealed, message: Mapping[str, str]) -> Secret:
    """Store another value of a secret that this transaction has locked, with a message about it."""
    [row] = await run(tx, _REPLACE, secret_id=secret_id, new_key_id=sealed.key_id, new_sealed=sealed.blob, **message)
    return _secret(row)


async def delete(tx: Tx, grid_id: str, name: str) -> Secret | None:
    """Remove a secret; None when there is none."""
    gone = t.delete().where(t.c.grid_id == grid_id, t.c.name == name).returning(*_SHOWN)
    row = (await tx.execute(gone)).one_or_none()
    return None if row is None else _secret(row)


def _secret(row: Any) -> Secret:
    return Secret(row.id, row.grid_id, row.name, row.created_at, row.updated_at)


def _stored(row: Any) -> StoredSecret:
    return StoredSecret(_secret(row), Sealed(row.key_id, row.sealed), row.version)
