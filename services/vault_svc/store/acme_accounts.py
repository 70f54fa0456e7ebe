"""Accounts at certification authorities, and the lease of whoever works there for a grid."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.vault_svc.store.tables import acme_accounts as t
from services.vault_svc.store.tables import acme_leases as leases


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a grid at one directory; good only with the key that has this thumbprint."""

    url: str
    thumbprint: str


async def find(tx: Tx, grid_id: str, directory: str) -> Account | None:
    """The account of a grid."""
    query = sa.select(t.c.url, t.c.thumbprint).where(t.c.grid_id == grid_id, t.c.directory == directory)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Account(row.url, row.thumbprint)


async def save(tx: Tx, grid_id: str, directory: str, account: Account, contact: str | None = None) -> None:
    """Store the account in place of an older one; without a contact the known one stays."""
    values = {"url": account.url, "thumbprint": account.thumbprint}
    changed = {**values, "updated_at": sa.func.now(), **({"contact": contact} if contact is not None else {})}
    statement = pg_insert(t).values(id=new_id(), grid_id=grid_id, directory=directory, contact=contact or "", **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=[t.c.grid_id, t.c.directory], set_=changed))


async def take_lease(tx: Tx, grid_id: str, holder: str, seconds: float) -> bool:
    """Take the lease of a grid if nobody has it, or whoever had it is late."""
    until = sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    statement = (
        pg_insert(leases)
        .values(grid_id=grid_id, holder=holder, expires_at=until)
        .on_conflict_do_update(
            index_elements=[leases.c.grid_id],
            set_={"holder": holder, "expires_at": until},
            where=leases.c.expires_at <= sa.func.now(),
        )
        .returning(leases.c.grid_id)
    )
    return (await tx.execute(statement)).one_or_none() is not None


async def end_lease(tx: Tx, grid_id: str, holder: str) -> None:
    """Give the lease back, if it is still the holder's."""
    await tx.execute(leases.delete().where(leases.c.grid_id == grid_id, leases.c.holder == holder))
