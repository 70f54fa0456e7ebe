"""What a node may speak of: the services that it was given something of to run."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Tx, run
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement

# What is told of: the id of a node, and that of a service.
Spoken = tuple[str, str]


def _speaking() -> sa.Select[tuple[str, str, str, str]]:
    asked = (
        sa.func.unnest(
            sa.bindparam("nodes", type_=ARRAY(sa.Text)),
            sa.bindparam("services", type_=ARRAY(sa.Text)),
        )
        .table_valued(sa.column("node_id", sa.Text), sa.column("service_id", sa.Text), name="asked")
        .render_derived()
    )
    own, node = services.c.id, asked.c.node_id
    placed = sa.exists().where(instances.c.service_id == own, instances.c.node_id == node)
    left = sa.exists().where(containers.c.service_id == own, containers.c.node_id == node)
    return sa.select(node, own, services.c.stack, services.c.name).where(
        own == asked.c.service_id,
        services.c.grid_id == sa.bindparam("grid", type_=services.c.grid_id.type),
        sa.or_(placed, left),
    )


_SPOKEN_FOR = Statement(_speaking())


async def all_spoken_for(tx: Tx, grid_id: str, told: Collection[Spoken]) -> dict[Spoken, tuple[str, str]]:
    """(stack, name) of those services of the grid that have an instance on the node that tells of them, or a container
    there that is left of one: what an instance says while it leaves the node still counts. A service that was deleted
    is not among them."""
    if not told:
        return {}
    asked = sorted(told)
    nodes, ids = [node for node, _ in asked], [service for _, service in asked]
    rows = await run(tx, _SPOKEN_FOR, nodes=nodes, services=ids, grid=grid_id)
    return {(row[0], row[1]): (row[2], row[3]) for row in map(tuple, rows)}


async def spoken_for(tx: Tx, session: NodeSession, service_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The same for one node, by service id."""
    found = await all_spoken_for(tx, session.grid_id, [(session.node_id, service_id) for service_id in service_ids])
    return {service_id: name for (_, service_id), name in found.items()}
