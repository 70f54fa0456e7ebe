"""Counts of what grids hold."""

from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.domain.watch import GridUsage
from services.deploy_svc.store import tables
from services.kernel.announcements import Announcements
from services.kernel.db import Tx

# NOTIFY channel; the payload is a grid id. Triggers send it, but for new services: these come in by one statement
# (services.py), whose process tells of them together.
CHANNEL = "deploy_grid_usage"
NEW_SERVICES = Announcements(CHANNEL, gather_seconds=0.2)


async def count(tx: Tx, grid_ids: Collection[str] | None) -> list[GridUsage]:
    """What these grids hold, or all, in one query; a grid without anything is left out."""
    services, instances = tables.services, tables.instances
    in_grid = [sa.true() if grid_ids is None else table.c.grid_id.in_(grid_ids) for table in (services, instances)]
    counted = (
        sa.select(services.c.grid_id, sa.literal(1).label("service"), sa.literal(0).label("container"))
        .where(in_grid[0])
        .union_all(
            sa.select(instances.c.grid_id, sa.literal(0), sa.literal(1)).where(
                in_grid[1], instances.c.container_id.is_not(None)
            )
        )
        .subquery()
    )
    query = sa.select(counted.c.grid_id, sa.func.sum(counted.c.service), sa.func.sum(counted.c.container)).group_by(
        counted.c.grid_id
    )
    return [GridUsage(row[0], row[1], row[2]) for row in await tx.execute(query)]


async def stateful_nodes(tx: Tx, node_ids: Collection[str]) -> set[str]:
    """Those of the nodes that hold an instance of a stateful service, in one query."""
    services, instances = tables.services, tables.instances
    query = (
        sa.select(instances.c.node_id)
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.node_id.in_(node_ids), services.c.spec["stateful"].as_boolean())
    )
    return set((await tx.execute(query)).scalars())
