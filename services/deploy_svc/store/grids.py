"""What belongs to a grid: how much that is, and what goes when the grid is gone."""

from typing import Any

import sqlalchemy as sa

from services.deploy_svc.store import stack_tables, tables
from services.kernel.db import AnyTx, Tx, run
from services.kernel.quotas import Counts
from services.kernel.statements import Statement

_services, _stacks = tables.services, stack_tables.stacks
_revisions, _volumes, _configs = stack_tables.stack_revisions, stack_tables.volumes, stack_tables.grid_configs
# Services go one by one, as nodes are told of each.
GOES_WITH_IT = (_stacks, _volumes, _configs)


def _size(column: sa.Column[object]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(sa.func.octet_length(sa.cast(column, sa.Text))), 0), sa.BigInteger)


def _measuring() -> sa.Select[Any]:
    grid_id: sa.BindParameter[str] = sa.bindparam("grid_id")
    current = _stacks.join(
        _revisions, sa.and_(_revisions.c.stack_id == _stacks.c.id, _revisions.c.revision == _stacks.c.revision)
    )
    services = sa.select(sa.func.count(), _size(_services.c.spec)).where(_services.c.grid_id == grid_id).subquery()
    stacks = (
        sa.select(sa.func.count(), _size(_revisions.c.document))
        .select_from(current)
        .where(_stacks.c.grid_id == grid_id)
        .subquery()
    )
    volumes = sa.select(sa.func.count()).where(_volumes.c.grid_id == grid_id).scalar_subquery()
    configs = sa.select(sa.func.count(), _size(_configs.c.content)).where(_configs.c.grid_id == grid_id).subquery()
    all_of_it = services.join(stacks, sa.true()).join(configs, sa.true())
    return sa.select(*services.c, *stacks.c, volumes, *configs.c).select_from(all_of_it)


_MEASURE = Statement(_measuring())


async def measure(tx: AnyTx, grid_id: str) -> Counts:
    """How much a grid has, by quota, as the transaction sees it, in one query that reads all of it. Bytes are those of
    JSON in what users said of services and stacks, and of text in configs."""
    [row] = await run(tx, _MEASURE, grid_id=grid_id)
    return {
        "services_per_grid": row[0],
        "stacks_per_grid": row[2],
        "volumes_per_grid": row[4],
        "spec_bytes_per_grid": row[1] + row[3],
        "configs_per_grid": row[5],
        "config_bytes_per_grid": row[6],
    }


async def with_data(tx: Tx) -> dict[str, str]:
    """Names by id of the grids that something belongs to."""
    owned = (sa.select(table.c.grid_id, table.c.grid) for table in (_services, *GOES_WITH_IT))
    return {row.grid_id: row.grid for row in await tx.execute(sa.union(*owned))}


async def purge(tx: Tx, grid_id: str) -> None:
    """Remove what belongs to the grid but for its services."""
    for table in GOES_WITH_IT:
        await tx.execute(table.delete().where(table.c.grid_id == grid_id))
