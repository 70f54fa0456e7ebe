"""What a node may speak of: the services that it was given something of to run."""

from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Tx
from services.kernel.principal import NodeSession


async def spoken_for(tx: Tx, session: NodeSession, service_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """(stack, name) by id of those of the services that have an instance on the node, or a container there that is left
    of one: what an instance says while it leaves the node still counts. A service that was deleted is not among them.
    """
    if not service_ids:
        return {}
    own = services.c.id
    placed = sa.exists().where(instances.c.service_id == own, instances.c.node_id == session.node_id)
    left = sa.exists().where(containers.c.service_id == own, containers.c.node_id == session.node_id)
    query = sa.select(own, services.c.stack, services.c.name).where(
        own.in_(sorted(service_ids)), services.c.grid_id == session.grid_id, sa.or_(placed, left)
    )
    return {row.id: (row.stack, row.name) for row in await tx.execute(query)}
