"""The queue of deploys: written by requests, read for progress. The rollout loop owns the rest (store/rollouts.py)."""

import sqlalchemy as sa

from services.deploy_svc.domain.service_deploy import InstanceDeploy, ServiceDeploy
from services.deploy_svc.store import tables
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id

_t = tables.service_deploys
_i = tables.instance_deploys


async def insert(tx: Tx, service_id: str) -> str:
    """Queue a deploy and wake the rollout loop when the transaction commits. Returns its id."""
    deploy_id = new_id()
    await tx.execute(_t.insert().values(id=deploy_id, service_id=service_id))
    await notify(tx, tables.SERVICE_CHANGED, service_id)
    return deploy_id


async def get(tx: Tx, service_id: str, deploy_id: str) -> ServiceDeploy | None:
    """A deploy of the service with its instances in the order they were scheduled."""
    row = (await tx.execute(_t.select().where(_t.c.id == deploy_id, _t.c.service_id == service_id))).one_or_none()
    if row is None:
        return None
    query = sa.select(_i).where(_i.c.deploy_id == deploy_id).order_by(_i.c.position)
    instances = tuple(
        InstanceDeploy(item.instance_number, item.node_id, item.node, item.state, item.error, item.started_at)
        for item in await tx.execute(query)
    )
    return ServiceDeploy(
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
        instance_deploys=instances,
    )
