"""Samples of containers: COPY in, the newest one beside its container. Partitioned by day (partitions.py)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.deploy_svc.domain.container_sample import Current, Minute, Sample, Traffic, Usage
from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.stats_tables import container_stats
from services.kernel.db import Tx, copy
from services.kernel.members import made_of
from services.kernel.storable import to_json

_t = container_stats
_c = containers
_COLUMNS = ("grid_id", "node_id", "service_id", "container_id", "time", "usage")


async def known(tx: Tx, node_id: str, container_ids: Sequence[str]) -> dict[str, str | None]:
    """Service ids by engine id of those of the containers that are in the mirror of the node."""
    ids = sa.cast(sorted(container_ids), ARRAY(sa.Text))
    query = sa.select(_c.c.container_id, _c.c.service_id).where(
        _c.c.node_id == node_id, _c.c.container_id == sa.func.any(ids)
    )
    return {row.container_id: row.service_id for row in await tx.execute(query)}


async def append(
    tx: Tx, *, grid_id: str, node_id: str, samples: Sequence[Sample], services: Mapping[str, str | None]
) -> None:
    """Store samples and put the newest ones beside their containers."""
    encoded = {sample.container_id: to_json(asdict(sample.usage)) for sample in samples}
    records = [
        (grid_id, node_id, services[item.container_id], item.container_id, item.time, to_json(asdict(item.usage)))
        for item in samples
    ]
    await copy(tx, _t, _COLUMNS, records)
    rows = sa.func.unnest(
        sa.cast(sorted(encoded), ARRAY(sa.Text)), sa.cast([encoded[key] for key in sorted(encoded)], ARRAY(sa.Text))
    ).table_valued(sa.column("container_id", sa.Text), sa.column("usage", sa.Text), name="newest")
    newest = rows.render_derived()
    await tx.execute(
        _c.update()
        .where(_c.c.node_id == node_id, _c.c.container_id == newest.c.container_id)
        .values(stats=sa.cast(newest.c.usage, JSONB))
    )


async def of_service(tx: Tx, service_id: str) -> list[Current]:
    """The newest samples of a service's running containers."""
    return await _current(tx, _c.c.service_id == service_id)


async def of_grid(tx: Tx, grid_id: str) -> list[Current]:
    """The newest samples of a grid's running containers."""
    return await _current(tx, _c.c.grid_id == grid_id)


async def of_node(tx: Tx, node_id: str) -> list[Current]:
    """The newest samples of a node's running containers."""
    return await _current(tx, _c.c.node_id == node_id)


async def _current(tx: Tx, where: sa.ColumnElement[bool]) -> list[Current]:
    running = (_c.c.running, _c.c.deleted_at.is_(None), _c.c.type == "container")
    query = sa.select(_c.c.name, _c.c.stats).where(where, *running).order_by(_c.c.created_at, _c.c.name, _c.c.id)
    return [Current(row.name, None if row.stats is None else _usage(row.stats)) for row in await tx.execute(query)]


def _usage(stored: Mapping[str, Any]) -> Usage:
    groups = {name: Traffic(**stored[name]) for name in ("internal", "external")}
    return Usage(**{**stored, **groups})


_RATES = ("rx_bytes", "rx_bytes_per_second", "tx_bytes", "tx_bytes_per_second")
_GROUPS = ("internal", "external")


async def minutes(tx: Tx, service_id: str, first: datetime, last: datetime) -> list[Minute]:
    """The minutes with data between two times, ascending; summed up by the database."""
    minute = sa.func.date_trunc("minute", _t.c.time).label("minute")

    def average(*path: str) -> Any:
        return sa.func.avg(sa.cast(_t.c.usage[path].astext, sa.Float))

    values = {name: average(name) for name in ("cpu", "memory", "memory_limit")}
    values |= {f"{group}_{rate}": average(group, rate) for group in _GROUPS for rate in _RATES}
    per_container = (
        sa.select(
            minute,
            _t.c.node_id,
            sa.func.max(sa.cast(_t.c.usage["num_cores"].astext, sa.Integer)).label("cores"),
            sa.func.max(_t.c.usage["internal", "interfaces"].astext).label("internal_interfaces"),
            sa.func.max(_t.c.usage["external", "interfaces"].astext).label("external_interfaces"),
            *(value.label(name) for name, value in values.items()),
        )
        .where(_t.c.service_id == service_id, _t.c.time >= first, _t.c.time <= last)
        .group_by(minute, _t.c.node_id, _t.c.container_id)
        .subquery()
    )
    own = per_container.c
    per_node = (
        sa.select(
            own.minute,
            sa.func.max(own.cores).label("cores"),
            sa.func.max(own.internal_interfaces).label("internal_interfaces"),
            sa.func.max(own.external_interfaces).label("external_interfaces"),
            *(sa.func.sum(own[name]).label(name) for name in values),
        )
        .group_by(own.minute, own.node_id)
        .subquery()
    )
    node = per_node.c
    query = (
        sa.select(
            node.minute,
            sa.func.sum(node.cores).label("cores"),
            sa.func.max(node.internal_interfaces).label("internal_interfaces"),
            sa.func.max(node.external_interfaces).label("external_interfaces"),
            *(sa.func.sum(node[name]).label(name) for name in values),
        )
        .group_by(node.minute)
        .order_by(node.minute)
    )
    return [_minute(row) for row in await tx.execute(query)]


def _minute(row: Any) -> Minute:
    found = row._mapping
    traffic = {
        group: Traffic(
            interfaces=json.loads(found[f"{group}_interfaces"] or "[]"),
            **{rate: found[f"{group}_{rate}"] or 0.0 for rate in _RATES},
        )
        for group in _GROUPS
    }
    return made_of(Minute, row, time=row.minute, cores=int(row.cores), **traffic)
