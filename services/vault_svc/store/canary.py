"""The one encrypted known text of an installation."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel.db import Tx
from services.vault_svc.domain.envelope import Sealed
from services.vault_svc.store.tables import canary as t


async def load(tx: Tx, *, lock: bool = False) -> Sealed | None:
    """The canary of the installation; None before the first start with a key."""
    query = sa.select(t.c.key_id, t.c.sealed).where(t.c.id == 1)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else Sealed(row.key_id, row.sealed)


async def load_or_store(tx: Tx, sealed: Sealed) -> Sealed:
    """The canary of the installation, which is `sealed` when there was none; the first of several writers wins."""
    new = pg_insert(t).values(id=1, key_id=sealed.key_id, sealed=sealed.blob).on_conflict_do_nothing()
    await tx.execute(new)
    return await load(tx) or sealed


async def replace(tx: Tx, sealed: Sealed) -> None:
    """Store the canary under another key."""
    await tx.execute(t.update().where(t.c.id == 1).values(key_id=sealed.key_id, sealed=sealed.blob))
