"""The queue of deploys: written by requests, read for progress. The rollout loop owns the rest (store/rollouts.py)."""

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.domain.service_deploy import InstanceDeploy, ServiceDeploy
from services.deploy_svc.store import tables
from services.kernel.db import Tx
from services.kernel.ids import new_id

_t = tables.service_deploys
_i = tables.instance_deploys


async def insert(tx: Tx, service_id: str) -> str:
    """Queue a deploy and wake the rollout loop when the transaction commits. Returns its id."""
    deploy_id = new_id()
    wake = sa.func.pg_notify(tables.SERVICE_CHANGED, service_id)
    await tx.execute(_t.insert().values(id=deploy_id, service_id=service_id).returning(wake))
    return deploy_id


async def get(tx: Tx, service_id: str, deploy_id: str) -> ServiceDeploy | None:
    """A deploy of the service with its instances in the order they were scheduled."""
    found = (await by_ids(tx, [deploy_id])).get(deploy_id)
    return found if found is not None and found.service_id == service_id else None


async def by_ids(tx: Tx, deploy_ids: Collection[str]) -> dict[str, ServiceDeploy]:
    """Deploys by id with their instances, in two queries."""
    rows = (await tx.execute(_t.select().where(_t.c.id.in_(deploy_ids)))).all() if deploy_ids else []
    if not rows:
        return {}
    instances: defaultdict[str, list[InstanceDeploy]] = defaultdict(list)
    for item in await tx.execute(sa.select(_i).where(_i.c.deploy_id.in_(deploy_ids)).order_by(_i.c.position)):
        instances[item.deploy_id].append(
            InstanceDeploy(item.instance_number, item.node_id, item.node, item.state, item.error, item.started_at)
        )
    return {
        row.id: ServiceDeploy(
            id=row.id,
            service_id=row.service_id,
            state=row.state,
            reason=row.reason,
            deploy_rev=row.deploy_rev,
            total=row.total,
            created_at=row.created_at,
            queued_at=row.queued_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            instance_deploys=tuple(instances[row.id]),
        )
        for row in rows
    }
