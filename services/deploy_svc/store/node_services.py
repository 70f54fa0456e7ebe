"""What a node may speak of: the services that it was given something of to run."""

from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.given import arrays, given_later
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Tx, run
from services.kernel.statements import Statement

# What is told of: the id of a node, and that of a service.
Spoken = tuple[str, str]
_SPOKEN = (instances.c.node_id, instances.c.service_id)


def _speaking() -> sa.Select[tuple[str, str, str, str]]:
    asked = given_later("asked", *_SPOKEN)
    own, node = services.c.id, asked.c.node_id
    placed = sa.exists().where(instances.c.service_id == own, instances.c.node_id == node)
    left = sa.exists().where(containers.c.service_id == own, containers.c.node_id == node)
    return sa.select(node, own, services.c.stack, services.c.name).where(
        own == asked.c.service_id,
        services.c.grid_id == sa.bindparam("grid", type_=services.c.grid_id.type),
        sa.or_(placed, left),
    )


_SPOKEN_FOR = Statement(_speaking())


async def spoken_for(tx: Tx, grid_id: str, told: Collection[Spoken]) -> dict[Spoken, tuple[str, str]]:
    """(stack, name) of those services of the grid that have an instance on the node that tells of them, or a container
    there that is left of one: what an instance says while it leaves the node still counts. A service that was deleted
    is not among them."""
    if not told:
        return {}
    rows = await run(tx, _SPOKEN_FOR, **arrays(sorted(told), *_SPOKEN), grid=grid_id)
    return {(row[0], row[1]): (row[2], row[3]) for row in map(tuple, rows)}
