"""Samples of resource usage: COPY in, averaged by the minute on the way out. Partitioned by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.grid_svc.domain.metrics import Interfaces, Minute, Window
from services.grid_svc.domain.resource_usage import ResourceUsage
from services.grid_svc.store import rows
from services.grid_svc.store.channels import nodes_sampled
from services.grid_svc.store.tables import FILESYSTEM, MEMORY, NETWORKS, TRAFFIC, nodes, resource_usage
from services.kernel import locks
from services.kernel.db import Tx, copy
from services.kernel.partitions import DailyPartitions
from services.kernel.principal import NodeSession
from services.kernel.storable import to_json

PARTITIONS = DailyPartitions("grid", {"resource_usage": "at"}, locks.GRID_PARTITIONS)

_t = resource_usage
_COLUMNS = tuple(column.name for column in _t.columns)
_AVERAGED = tuple(name for name in _COLUMNS if name not in ("at", "grid_id", "node_id") and "interfaces" not in name)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a session measured `age` seconds ago."""

    session: NodeSession
    usage: ResourceUsage
    age: float


async def store(tx: Tx, samples: Sequence[Sample]) -> dict[NodeSession, str]:
    """Keep the newest sample of each node, and all for the history; those of older sessions are dropped.

    Returns the names of the nodes by their sessions. Two statements and a COPY for any number.
    """
    newest = {sample.session: sample for sample in samples}
    given = sa.text(
        "select * from unnest(cast(:ids as text[]), cast(:numbers as int[]), cast(:stats as text[])) "
        "as sampled(id, number, stats)"
    ).bindparams(
        ids=[session.node_id for session in newest],
        numbers=[session.number for session in newest],
        stats=[to_json(rows.usage_values(item.usage)) for item in newest.values()],
    )
    table = given.columns(sa.column("id", sa.Text), sa.column("number", sa.Integer), sa.column("stats", sa.Text))
    found = table.subquery("sampled")
    statement = (
        nodes.update()
        .where(nodes.c.id == found.c.id, nodes.c.session == found.c.number, nodes.c.connected)
        .values(stats=sa.cast(found.c.stats, JSONB))
        .returning(nodes.c.grid_id, nodes.c.id, nodes.c.session, nodes.c.name, sa.func.now().label("now"))
    )
    present = (await tx.execute(statement)).all()
    names = {NodeSession(row.grid_id, row.id, row.session): row.name for row in present}
    if present:
        await nodes_sampled(tx, [(session.grid_id, session.node_id) for session in names])
        records = [_record(sample, present[0].now) for sample in samples if sample.session in names]
        await copy(tx, _t, _COLUMNS, records)
    return names


async def minutes(tx: Tx, column: str, key: str, window: Window) -> list[Minute]:
    """Averages per minute and node of samples with `column` (`grid_id` or `node_id`) `key`, summed over nodes."""
    minute = sa.func.date_trunc("minute", _t.c.at).label("minute")
    per_node = (
        sa.select(
            minute,
            *(sa.func.avg(_t.c[name]).label(name) for name in _AVERAGED),
            *(sa.func.min(_t.c[f"{side}_interfaces"]).label(f"{side}_interfaces") for side in NETWORKS),
        )
        .where(_t.c[column] == key, _t.c.at.between(window.start, window.end), _t.c.filesystem_total.is_not(None))
        .group_by(minute, _t.c.node_id)
        .subquery()
    )
    columns = per_node.c
    query = (
        sa.select(
            columns.minute,
            *(sa.func.sum(columns[name]).label(name) for name in _AVERAGED),
            *(sa.func.min(columns[f"{side}_interfaces"]).label(f"{side}_interfaces") for side in NETWORKS),
        )
        .group_by(columns.minute)
        .order_by(columns.minute)
    )
    return [_minute(dict(row._mapping)) for row in await tx.execute(query)]


def _record(sample: Sample, now: datetime) -> tuple[Any, ...]:
    usage, session = sample.usage, sample.session
    cpu, memory, network = usage.cpu, usage.memory, usage.network
    sides = (network.internal if network else None, network.external if network else None)
    return (
        now - timedelta(seconds=sample.age),
        session.grid_id,
        session.node_id,
        cpu.used if cpu else None,
        cpu.num_cores if cpu else None,
        *(getattr(memory, name) if memory else None for name in MEMORY),
        *(sum(getattr(item, name) for item in usage.filesystem) if usage.filesystem else None for name in FILESYSTEM),
        *(getattr(side, name) if side else None for side in sides for name in TRAFFIC),
        *(side.interfaces if side else None for side in sides),
    )


def _minute(row: Mapping[str, Any]) -> Minute:
    return Minute(
        at=row["minute"],
        cpu_used=row["cpu_used"] or 0.0,
        cpu_cores=row["cpu_cores"] or 0,
        memory={name: row[f"memory_{name}"] or 0.0 for name in MEMORY},
        filesystem={name: row[f"filesystem_{name}"] or 0.0 for name in FILESYSTEM},
        network={
            side: Interfaces(tuple(row[f"{side}_interfaces"] or ()), {name: row[f"{side}_{name}"] for name in TRAFFIC})
            for side in NETWORKS
        },
    )
