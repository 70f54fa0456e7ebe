"""What a node may speak of: the services that it was given something of to run."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Tx, run
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement


def _speaking() -> sa.Select[tuple[str, str, str]]:
    own, node = services.c.id, sa.bindparam("node", type_=instances.c.node_id.type)
    placed = sa.exists().where(instances.c.service_id == own, instances.c.node_id == node)
    left = sa.exists().where(containers.c.service_id == own, containers.c.node_id == node)
    return sa.select(own, services.c.stack, services.c.name).where(
        own == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Text))),
        services.c.grid_id == sa.bindparam("grid", type_=services.c.grid_id.type),
        sa.or_(placed, left),
    )


_SPOKEN_FOR = Statement(_speaking())


async def spoken_for(tx: Tx, session: NodeSession, service_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """(stack, name) by id of those of the services that have an instance on the node, or a container there that is left
    of one: what an instance says while it leaves the node still counts. A service that was deleted is not among them.
    """
    if not service_ids:
        return {}
    rows = await run(tx, _SPOKEN_FOR, node=session.node_id, grid=session.grid_id, ids=sorted(service_ids))
    return {row[0]: (row[1], row[2]) for row in map(tuple, rows)}
