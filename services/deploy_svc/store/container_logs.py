"""Container logs: COPY in. Partitioned by day of arrival (partitions.py)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition
from services.deploy_svc.store import tables
from services.kernel.db import Tx, copy, notify

_t = tables.container_logs
_p = tables.log_positions

# Those of a line are its members, in their order.
_COLUMNS = ("grid_id", "node_id", "node", *LogLine._fields)


async def positions(tx: Tx, node_id: str, container_ids: Collection[str]) -> dict[LogKey, LogPosition]:
    """The last stored lines of containers of a node."""
    query = sa.select(_p.c.container_id, _p.c.type, _p.c.time, _p.c.lines).where(
        _p.c.node_id == node_id, _p.c.container_id == sa.func.any(sa.cast(sorted(container_ids), ARRAY(sa.Text)))
    )
    return {(row.container_id, row.type): LogPosition(row.time, row.lines) for row in await tx.execute(query)}


async def append(tx: Tx, *, grid_id: str, node_id: str, node: str, lines: Sequence[LogLine]) -> None:
    """Store lines in order and wake followers of the grid. Call with the grid locked."""
    of_node = (grid_id, node_id, node)
    records = [of_node + line for line in lines]
    await copy(tx, _t, _COLUMNS, records)
    await notify(tx, tables.LOGS_ARRIVED, grid_id)


async def save_positions(tx: Tx, node_id: str, new: Mapping[LogKey, LogPosition]) -> None:
    """Store positions."""
    rows = [
        {"node_id": node_id, "container_id": key[0], "type": key[1], "time": position.time, "lines": position.lines}
        for key, position in sorted(new.items())
    ]
    insert = upsert(_p).values(rows)
    changed = {"time": insert.excluded.time, "lines": insert.excluded.lines, "updated_at": sa.func.now()}
    await tx.execute(insert.on_conflict_do_update(constraint="pk_log_positions", set_=changed))


async def expire_positions(tx: Tx, before: date) -> None:
    """Remove positions of containers that fell silent long ago."""
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))
