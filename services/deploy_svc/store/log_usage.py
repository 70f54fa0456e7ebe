"""How many bytes of logs a grid has, and making room."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.log_line import LogLine
from services.deploy_svc.store import tables
from services.kernel.db import Tx

_t = tables.log_usage

# What a row takes beside its text: ids, names, times, and its entries in the indexes. Measured with one-letter lines.
ROW_BYTES = 250
_ROWS_AT_ONCE = 20_000

_REMOVE = sa.text(
    "with oldest as (select id, arrived_on from deploy.container_logs"
    " where grid_id = :grid_id order by id limit :rows),"
    " gone as (delete from deploy.container_logs using oldest where container_logs.id = oldest.id"
    " and container_logs.arrived_on = oldest.arrived_on"
    " returning container_logs.arrived_on, octet_length(data) + :row_bytes as size),"
    " sums as (select arrived_on, sum(size) as bytes, count(*) as rows from gone group by arrived_on),"
    " less as (update deploy.log_usage set bytes = greatest(0, log_usage.bytes - sums.bytes) from sums"
    " where log_usage.grid_id = :grid_id and log_usage.arrived_on = sums.arrived_on)"
    " select coalesce(sum(rows), 0) from sums"
)


async def add(tx: Tx, grid_id: str, lines: Sequence[LogLine]) -> None:
    """Count lines that are stored in this transaction. Call it with the grid locked."""
    size = len("".join(line.data for line in lines).encode()) + ROW_BYTES * len(lines)
    insert = upsert(_t).values(grid_id=grid_id, bytes=size)
    more = {"bytes": _t.c.bytes + insert.excluded.bytes}
    await tx.execute(insert.on_conflict_do_update(constraint="pk_log_usage", set_=more))


async def of_grids(tx: Tx) -> dict[str, int]:
    """Bytes of each grid that has logs."""
    query = sa.select(_t.c.grid_id, sa.func.sum(_t.c.bytes)).group_by(_t.c.grid_id)
    return {grid_id: int(size) for grid_id, size in await tx.execute(query)}


async def remove_oldest(tx: Tx, grid_id: str) -> None:
    """Remove the oldest lines of a grid, at most 20,000. Call it with the grid locked."""
    bound = {"grid_id": grid_id, "rows": _ROWS_AT_ONCE, "row_bytes": ROW_BYTES}
    if not (await tx.execute(_REMOVE, bound)).scalar_one():
        # There is nothing left: whatever is counted went another way.
        await tx.execute(_t.delete().where(_t.c.grid_id == grid_id))


async def expire(tx: Tx, before: date) -> None:
    """Forget days whose lines are gone."""
    await tx.execute(_t.delete().where(_t.c.arrived_on < before))
