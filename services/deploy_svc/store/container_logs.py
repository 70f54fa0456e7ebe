"""Container logs: COPY in. Partitioned by day of arrival (partitions.py)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition
from services.deploy_svc.store import tables
from services.deploy_svc.store.given import arrays, given_later
from services.kernel.db import Tx, copy, notify, run
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement

_t = tables.container_logs
_p = tables.log_positions

# Those of a line are its members, in their order.
_COLUMNS = ("grid_id", "node_id", "node", *LogLine._fields)


_KEY = (_p.c.node_id, _p.c.container_id)
_POSITION = (*_KEY, _p.c.type, _p.c.time, _p.c.lines)
_asked = given_later("asked", *_KEY)
_POSITIONS = Statement(
    sa.select(*_POSITION).where(_p.c.node_id == _asked.c.node_id, _p.c.container_id == _asked.c.container_id)
)


async def positions(tx: Tx, containers: Collection[tuple[str, str]]) -> dict[str, dict[LogKey, LogPosition]]:
    """The last stored lines of containers, given with their nodes, by node."""
    found: defaultdict[str, dict[LogKey, LogPosition]] = defaultdict(dict)
    for row in await run(tx, _POSITIONS, **arrays(sorted(containers), *_KEY)):
        found[row[0]][row[1], row[2]] = LogPosition(row[3], row[4])
    return found


async def append(tx: Tx, grid_id: str, lines: Iterable[tuple[NodeSession, str, Sequence[LogLine]]]) -> None:
    """Store lines in order, those of each node with its name, and wake followers of the grid. Call with the grid
    locked."""
    records = [(grid_id, session.node_id, node, *line) for session, node, of_node in lines for line in of_node]
    await copy(tx, _t, _COLUMNS, records)
    await notify(tx, tables.LOGS_ARRIVED, grid_id)


def _saving() -> ReturningInsert[Any]:
    rows = given_later("told", *_POSITION)
    insert = upsert(_p).from_select([column.name for column in _POSITION], sa.select(*rows.c))
    changed = {"time": insert.excluded.time, "lines": insert.excluded.lines, "updated_at": sa.func.now()}
    return insert.on_conflict_do_update(constraint="pk_log_positions", set_=changed).returning(_p.c.lines)


_SAVE = Statement(_saving())


async def save_positions(tx: Tx, new: Iterable[tuple[str, Mapping[LogKey, LogPosition]]]) -> None:
    """Store positions of nodes; of the same one the last counts."""
    newest = {(node_id, *key): position for node_id, own in new for key, position in own.items()}
    await run(tx, _SAVE, **arrays(((*key, *astuple(newest[key])) for key in sorted(newest)), *_POSITION))


async def expire_positions(tx: Tx, before: date) -> None:
    """Remove positions of containers that fell silent long ago."""
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))
