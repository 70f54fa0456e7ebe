"""What is recorded on nodes: the instances of services, as the scheduler looks at them."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.deploy_svc.domain.pod import container_name
from services.deploy_svc.domain.scheduling.snapshot import Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.store.tables import instance_deploys, instances, service_deploys, services
from services.kernel.db import Tx

_SERVICE = (services.c.id, services.c.stack, services.c.name, services.c.spec["ports"].label("ports"))
_INSTANCE = (instances.c.node_id, instances.c.instance_number, instances.c.container_id)


async def in_grid(tx: Tx, grid_id: str) -> dict[str, list[Recorded]]:
    """The instances of all services of a grid by node id."""
    query = (
        sa.select(*_INSTANCE, *_SERVICE)
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.grid_id == grid_id, instances.c.node_id.is_not(None))
    )
    return _by_node(await tx.execute(query))


async def of_others(tx: Tx, service: Service, ports: Collection[int] | None) -> dict[str, list[Recorded]]:
    """Instances of the other services of the grid by node id, and those on their way to a node; only those that
    publish one of the node ports when they are given."""
    relevant = [services.c.grid_id == service.grid_id, services.c.id != service.id]
    if ports is not None:
        published = sa.func.jsonb_array_elements(services.c.spec["ports"]).table_valued("value").render_derived("port")
        node_port = sa.cast(sa.cast(published.c.value, JSONB)["node_port"].astext, sa.Integer)
        relevant.append(sa.exists(sa.select(sa.literal(1)).select_from(published).where(node_port.in_(ports))))
    here = (
        sa.select(*_INSTANCE, *_SERVICE)
        .join(services, services.c.id == instances.c.service_id)
        .where(*relevant, instances.c.node_id.is_not(None))
    )
    on_their_way = (
        sa.select(instance_deploys.c.node_id, instance_deploys.c.instance_number, sa.null(), *_SERVICE)
        .join(service_deploys, service_deploys.c.id == instance_deploys.c.deploy_id)
        .join(services, services.c.id == service_deploys.c.service_id)
        .where(*relevant, instance_deploys.c.state == "ongoing", service_deploys.c.finished_at.is_(None))
    )
    return _by_node(await tx.execute(sa.union_all(here, on_their_way)))


def _by_node(rows: Any) -> dict[str, list[Recorded]]:
    found: defaultdict[str, list[Recorded]] = defaultdict(list)
    for row in rows:
        found[row.node_id].append(_recorded(row))
    return found


def _recorded(row: Any) -> Recorded:
    return Recorded(
        service_id=row.id,
        service=f"{row.stack}/{row.name}",
        instance_number=row.instance_number,
        node_ports=frozenset(int(port["node_port"]) for port in row.ports or ()),
        container=container_name(row.stack, row.name, row.instance_number) if row.container_id else None,
    )
