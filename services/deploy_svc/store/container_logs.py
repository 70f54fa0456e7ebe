"""Container logs: COPY in. Partitioned by day of arrival (partitions.py)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition
from services.deploy_svc.store import tables
from services.kernel.db import Tx, copy, notify, run
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement

_t = tables.container_logs
_p = tables.log_positions

# Those of a line are its members, in their order.
_COLUMNS = ("grid_id", "node_id", "node", *LogLine._fields)


_POSITION = ("node_id", "container_id", "type", "time", "lines")


def _positions() -> sa.Select[Any]:
    asked = (
        sa.func.unnest(
            sa.bindparam("nodes", type_=ARRAY(sa.Text)),
            sa.bindparam("containers", type_=ARRAY(sa.Text)),
        )
        .table_valued(sa.column("node_id", sa.Text), sa.column("container_id", sa.Text), name="asked")
        .render_derived()
    )
    return sa.select(_p.c.node_id, _p.c.container_id, _p.c.type, _p.c.time, _p.c.lines).where(
        _p.c.node_id == asked.c.node_id, _p.c.container_id == asked.c.container_id
    )


_POSITIONS = Statement(_positions())


async def positions(tx: Tx, containers: Collection[tuple[str, str]]) -> dict[str, dict[LogKey, LogPosition]]:
    """The last stored lines of containers, given with their nodes, by node."""
    asked = sorted(containers)
    found: defaultdict[str, dict[LogKey, LogPosition]] = defaultdict(dict)
    for row in await run(tx, _POSITIONS, nodes=[key[0] for key in asked], containers=[key[1] for key in asked]):
        found[row[0]][row[1], row[2]] = LogPosition(row[3], row[4])
    return found


async def append(tx: Tx, grid_id: str, lines: Iterable[tuple[NodeSession, str, Sequence[LogLine]]]) -> None:
    """Store lines in order, those of each node with its name, and wake followers of the grid. Call with the grid
    locked."""
    records = [(grid_id, session.node_id, node, *line) for session, node, of_node in lines for line in of_node]
    await copy(tx, _t, _COLUMNS, records)
    await notify(tx, tables.LOGS_ARRIVED, grid_id)


def _saving() -> ReturningInsert[Any]:
    told = [sa.column(name, _p.c[name].type) for name in _POSITION]
    arrays = [sa.bindparam(f"all_{column.name}", type_=ARRAY(column.type)) for column in told]
    rows = sa.func.unnest(*arrays).table_valued(*told, name="told").render_derived()
    insert = upsert(_p).from_select(list(_POSITION), sa.select(*rows.c))
    changed = {"time": insert.excluded.time, "lines": insert.excluded.lines, "updated_at": sa.func.now()}
    return insert.on_conflict_do_update(constraint="pk_log_positions", set_=changed).returning(_p.c.lines)


_SAVE = Statement(_saving())


async def save_positions(tx: Tx, new: Iterable[tuple[str, Mapping[LogKey, LogPosition]]]) -> None:
    """Store positions of nodes; of the same one the last counts."""
    newest = {(node_id, *key): position for node_id, own in new for key, position in own.items()}
    rows = [(*key, *astuple(newest[key])) for key in sorted(newest)]
    await run(tx, _SAVE, **{f"all_{name}": [row[at] for row in rows] for at, name in enumerate(_POSITION)})


async def expire_positions(tx: Tx, before: date) -> None:
    """Remove positions of containers that fell silent long ago."""
    await tx.execute(_p.delete().where(_p.c.updated_at < sa.cast(before, sa.Date) - sa.text("interval '30 days'")))
