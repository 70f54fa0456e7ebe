"""What the scheduler wants to know beyond nodes and instances: volumes that exist, memory that containers used."""

from collections import defaultdict
from collections.abc import Iterable

import sqlalchemy as sa

from services.deploy_svc.domain.service import Service
from services.deploy_svc.store.stack_tables import volume_instances
from services.deploy_svc.store.stats_tables import container_stats
from services.kernel.db import Tx

# What was used, and some room.
_ROOM = 1.25


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
    if service.spec.memory or service.spec.memory_swap or service.deployed_at is None:
        return 0.0
    table = container_stats.c
    used = table.usage["memory"]["usage"].as_float()
    query = sa.select(sa.func.max(used)).where(
        table.service_id == service.id, table.time > sa.func.now() - sa.text("interval '1 hour'")
    )
    most = (await tx.execute(query)).scalar()
    return float(int(most * _ROOM)) if most else 0.0
