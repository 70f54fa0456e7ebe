"""Orders in progress, so that a restart between two steps costs nothing. Writers hold the lease of the grid."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel.db import Tx
from services.kernel.members import made_of, members
from services.vault_svc.domain import bindings
from services.vault_svc.domain.envelope import Binding, Sealed
from services.vault_svc.store.tables import orders as t


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order at a directory, made with the account key of the thumbprint; `sealed` is the certificate's key."""

    id: str
    grid_id: str
    names: str
    directory: str
    url: str
    thumbprint: str
    sealed: Sealed

    def binding(self) -> Binding:
        """What the ciphertext of the key is bound to."""
        return bindings.order(self.grid_id, self.names, self.id)


async def find(tx: Tx, grid_id: str, names: str) -> StoredOrder | None:
    """The order in progress for the names (sorted, joined by commas)."""
    row = (await tx.execute(t.select().where(t.c.grid_id == grid_id, t.c.names == names))).one_or_none()
    if row is None:
        return None
    return made_of(StoredOrder, row, sealed=Sealed(row.key_id, row.sealed))


async def save(tx: Tx, order: StoredOrder) -> None:
    """Store an order in place of an older one for the same names."""
    values = {**members(order), "key_id": order.sealed.key_id, "sealed": order.sealed.blob}
    changed = {**values, "created_at": sa.func.now(), "version": t.c.version + 1}
    statement = pg_insert(t).values(**values)
    await tx.execute(statement.on_conflict_do_update(index_elements=[t.c.grid_id, t.c.names], set_=changed))


async def delete(tx: Tx, order_id: str) -> None:
    """Forget an order."""
    await tx.execute(t.delete().where(t.c.id == order_id))
