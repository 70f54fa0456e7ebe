"""What the dry run of a stack deploy looks at: everything that is on the nodes of a grid."""

from collections import defaultdict

import sqlalchemy as sa

from services.deploy_svc.domain.pod import container_name
from services.deploy_svc.domain.scheduling.snapshot import Recorded
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Tx


async def recorded(tx: Tx, grid_id: str) -> dict[str, list[Recorded]]:
    """The instances of all services of a grid by node id."""
    query = (
        sa.select(
            instances.c.node_id,
            instances.c.instance_number,
            instances.c.container_id,
            services.c.id,
            services.c.stack,
            services.c.name,
            services.c.spec["ports"].label("ports"),
        )
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.grid_id == grid_id, instances.c.node_id.is_not(None))
    )
    found: defaultdict[str, list[Recorded]] = defaultdict(list)
    for row in await tx.execute(query):
        item = Recorded(
            service_id=row.id,
            service=f"{row.stack}/{row.name}",
            instance_number=row.instance_number,
            node_ports=frozenset(int(port["node_port"]) for port in row.ports or ()),
            container=container_name(row.stack, row.name, row.instance_number) if row.container_id else None,
        )
        found[row.node_id].append(item)
    return found
