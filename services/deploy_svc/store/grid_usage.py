"""Counts of what grids hold."""

from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.store import tables
from services.kernel.db import Tx


async def count(tx: Tx, grid_ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Services and containers by grid id, in one query; a grid without any is left out."""
    services, instances = tables.services, tables.instances
    counted = (
        sa.select(services.c.grid_id, sa.literal(1).label("service"), sa.literal(0).label("container"))
        .where(services.c.grid_id.in_(grid_ids))
        .union_all(
            sa.select(instances.c.grid_id, sa.literal(0), sa.literal(1)).where(
                instances.c.grid_id.in_(grid_ids), instances.c.container_id.is_not(None)
            )
        )
        .subquery()
    )
    query = sa.select(counted.c.grid_id, sa.func.sum(counted.c.service), sa.func.sum(counted.c.container)).group_by(
        counted.c.grid_id
    )
    return {row[0]: (row[1], row[2]) for row in await tx.execute(query)}


async def stateful_nodes(tx: Tx, node_ids: Collection[str]) -> set[str]:
    """Those of the nodes that hold an instance of a stateful service, in one query."""
    services, instances = tables.services, tables.instances
    query = (
        sa.select(instances.c.node_id)
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.node_id.in_(node_ids), services.c.spec["stateful"].as_boolean())
    )
    return set((await tx.execute(query)).scalars())
