"""What the scheduler wants to know beyond nodes: instances of all services, volumes that exist, memory that containers
used."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.deploy_svc.domain.pod import container_name
from services.deploy_svc.domain.scheduling.snapshot import Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.store.given import of_any
from services.deploy_svc.store.stack_tables import volume_instances
from services.deploy_svc.store.stats_tables import container_stats
from services.deploy_svc.store.tables import instance_deploys, instances, service_deploys, services
from services.kernel.db import Tx

# What was used, and some room.
_ROOM = 1.25
_SERVICE = (services.c.id, services.c.stack, services.c.name, services.c.spec["ports"].label("ports"))
_INSTANCE = (instances.c.node_id, instances.c.instance_number, instances.c.container_id)


async def recorded_in_grid(tx: Tx, grid_id: str) -> dict[str, list[Recorded]]:
    """The instances of all services of a grid by node id."""
    query = (
        sa.select(*_INSTANCE, *_SERVICE)
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.grid_id == grid_id, instances.c.node_id.is_not(None))
    )
    return _by_node(await tx.execute(query))


async def recorded_of_others(tx: Tx, service: Service, ports: Collection[int] | None) -> dict[str, list[Recorded]]:
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


async def held_volumes(tx: Tx, services: Iterable[Service]) -> dict[tuple[str, str], frozenset[str]]:
    """Engine volumes of scope `instance` that exist, by (service id, node id)."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for service in services:
        for mount in service.mounts:
            if mount.scope == "instance":
                users[mount.volume_id].append(service.id)
    if not users:
        return {}
    table = volume_instances.c
    query = sa.select(table.volume_id, table.node_id, table.name).where(table.volume_id.in_(users))
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in await tx.execute(query):
        for service_id in users[row.volume_id]:
            found[service_id, row.node_id].add(row.name)
    return {key: frozenset(names) for key, names in found.items()}


async def memory_need(tx: Tx, service: Service) -> float:
    """1.25 times the most that a container of the service used within the last hour; 0 when nothing is known, or when
    the service says itself what it needs."""
    return (await memory_needs(tx, [service])).get(service.id, 0.0)


async def memory_needs(tx: Tx, services: Iterable[Service]) -> dict[str, float]:
    """The same of several services by id; those without a need are left out."""
    asked = [
        service.id
        for service in services
        if not (service.spec.memory or service.spec.memory_swap or service.deployed_at is None)
    ]
    if not asked:
        return {}
    table = container_stats.c
    used = table.usage["memory"]["usage"].as_float()
    query = (
        sa.select(table.service_id, sa.func.max(used).label("most"))
        .where(of_any(table.service_id, asked), table.time > sa.func.now() - sa.text("interval '1 hour'"))
        .group_by(table.service_id)
    )
    return {row.service_id: float(int(row.most * _ROOM)) for row in await tx.execute(query) if row.most}


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
        node_ports=frozenset(int(port["node_port"]) for port in row.ports or ()) - {0},
        container=container_name(row.stack, row.name, row.instance_number) if row.container_id else None,
    )
