"""Every row with an encrypted value, whatever it belongs to: what key rotation works through."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from services.kernel.db import Tx
from services.vault_svc.domain import bindings
from services.vault_svc.domain.envelope import Binding, Sealed
from services.vault_svc.store import tables

_HOLDERS: dict[str, tuple[sa.Table, str, bindings.Bind]] = {
    "secrets": (tables.secrets, "name", bindings.secret),
    "registries": (tables.registries, "name", bindings.registry),
    "certificates": (tables.certificates, "subject", bindings.certificate),
    "authorizations": (tables.authorizations, "domain", bindings.authorization),
    "orders": (tables.orders, "names", bindings.order),
}

KINDS = tuple(_HOLDERS)


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One encrypted value; `version` grows with every write of the row."""

    id: str
    binding: Binding
    sealed: Sealed
    version: int


async def under_other_keys(tx: Tx, kind: str, key_id: str, after: str, limit: int) -> list[SealedRow]:
    """Rows of a kind that another key than `key_id` sealed, by id, from the one after `after`."""
    table, name, bind = _HOLDERS[kind]
    t = table.c
    query = sa.select(t.id, t.grid_id, t[name].label("bound_name"), t.key_id, t.sealed, t.version)
    query = query.where(t.key_id != key_id, t.id > after).order_by(t.id).limit(limit)
    return [
        SealedRow(row.id, bind(row.grid_id, row.bound_name, row.id), Sealed(row.key_id, row.sealed), row.version)
        for row in await tx.execute(query)
    ]


async def count_under_other_keys(tx: Tx, key_id: str) -> int:
    """How many values another key than `key_id` sealed."""
    counts = [
        sa.select(sa.func.count()).select_from(table).where(table.c.key_id != key_id).scalar_subquery()
        for table, *_ in _HOLDERS.values()
    ]
    return sum((await tx.execute(sa.select(*counts))).one())


async def reseal(tx: Tx, kind: str, changes: Iterable[tuple[SealedRow, Sealed]]) -> None:
    """Store re-encrypted values; a row that someone wrote meanwhile is left as it is."""
    table = _HOLDERS[kind][0]
    rows = [
        {"b_id": old.id, "b_version": old.version, "b_key": new.key_id, "b_sealed": new.blob} for old, new in changes
    ]
    if rows:
        statement = (
            table.update()
            .where(table.c.id == sa.bindparam("b_id"), table.c.version == sa.bindparam("b_version"))
            .values(key_id=sa.bindparam("b_key"), sealed=sa.bindparam("b_sealed"), version=table.c.version + 1)
        )
        await tx.execute(statement, rows)
