"""What belongs to a grid, for when that is gone."""

import sqlalchemy as sa

from services.deploy_svc.store import stack_tables, tables
from services.kernel.db import Tx

# Services go one by one, as nodes are told of each.
_GOES_WITH_IT = (stack_tables.stacks, stack_tables.volumes, stack_tables.grid_configs)


async def with_data(tx: Tx) -> dict[str, str]:
    """Names by id of the grids that something belongs to."""
    owned = (sa.select(table.c.grid_id, table.c.grid) for table in (tables.services, *_GOES_WITH_IT))
    return {row.grid_id: row.grid for row in await tx.execute(sa.union(*owned))}


async def purge(tx: Tx, grid_id: str) -> None:
    """Remove what belongs to the grid but for its services."""
    for table in _GOES_WITH_IT:
        await tx.execute(table.delete().where(table.c.grid_id == grid_id))
