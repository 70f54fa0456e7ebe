"""Which grids have data here, which of them are gone from grid_svc, and the removal of their data."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.kernel.db import Tx, now
from services.vault_svc.store import tables
from services.vault_svc.store.tables import departed_grids as t

# Every table with data of a grid, in the order in which rows may be removed.
_OF_A_GRID = (
    tables.secrets,
    tables.registries,
    tables.acme_accounts,
    tables.acme_leases,
    tables.authorizations,
    tables.orders,
    tables.certificates,
)


async def with_data(tx: Tx) -> frozenset[str]:
    """Ids of the grids that have data here."""
    rows = await tx.execute(sa.union(*(sa.select(table.c.grid_id).distinct() for table in _OF_A_GRID)))
    return frozenset(row.grid_id for row in rows)


async def noticed(tx: Tx) -> tuple[dict[str, datetime], datetime]:
    """When each departed grid was noticed, and the time now by the same clock."""
    rows = await tx.execute(sa.select(t.c.grid_id, t.c.noticed_at))
    return {row.grid_id: row.noticed_at for row in rows}, await now(tx)


async def notice(tx: Tx, grid_ids: Collection[str]) -> None:
    """Start the clock of grids; one that runs already is not reset."""
    if grid_ids:
        await tx.execute(pg_insert(t).values([{"grid_id": grid} for grid in grid_ids]).on_conflict_do_nothing())


async def forget(tx: Tx, grid_ids: Collection[str]) -> None:
    """Stop the clock of grids."""
    if grid_ids:
        await tx.execute(t.delete().where(t.c.grid_id.in_(grid_ids)))


async def purge(tx: Tx, grid_ids: Collection[str]) -> int:
    """Remove all data of grids; returns how many rows went."""
    if not grid_ids:
        return 0
    gone = [await tx.execute(table.delete().where(table.c.grid_id.in_(grid_ids))) for table in _OF_A_GRID]
    return sum(result.rowcount for result in gone)
