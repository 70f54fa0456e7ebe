"""The queue of deploys: written by requests, read for progress and history. The rollout loop owns the rest
(store/rollouts.py)."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from services.deploy_svc.domain.service_deploy import Asked, InstanceDeploy, Origin, ServiceDeploy
from services.deploy_svc.store import tables
from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page

_t = tables.service_deploys
_i = tables.instance_deploys


# All but `former`, which is large and nobody's business here.
INSTANCE_DEPLOY = [column for column in _i.c if column.name != "former"]
# What deploys came from that no request asked for.
_BY_CAUSE: Mapping[str, Origin] = {"automatic": "automatic", "rollback": "failed_deploy"}


async def insert(tx: Tx, service_id: str, asked: Asked) -> str:
    """Queue a deploy and wake the rollout loop when the transaction commits. Returns its id."""
    deploy_id = new_id()
    wake = sa.func.pg_notify(tables.SERVICE_CHANGED, service_id)
    values = {"id": deploy_id, "service_id": service_id, **asked_columns(asked)}
    await tx.execute(_t.insert().values(values).returning(wake))
    return deploy_id


async def find(tx: Tx, service_id: str, deploy_id: str) -> ServiceDeploy | None:
    """A deploy of the service with its instances in the order they were scheduled."""
    found = (await find_many(tx, [deploy_id])).get(deploy_id)
    return found if found is not None and found.service_id == service_id else None


async def find_many(tx: Tx, deploy_ids: Collection[str]) -> dict[str, ServiceDeploy]:
    """Deploys by id with their instances, in two queries."""
    rows = (await tx.execute(_t.select().where(_t.c.id.in_(deploy_ids)))).all() if deploy_ids else []
    if not rows:
        return {}
    instances: defaultdict[str, list[InstanceDeploy]] = defaultdict(list)
    query = sa.select(*INSTANCE_DEPLOY).where(_i.c.deploy_id.in_(deploy_ids)).order_by(_i.c.position)
    for item in await tx.execute(query):
        instances[item.deploy_id].append(row_to_instance_deploy(item))
    return {row.id: row_to_deploy(row, tuple(instances[row.id])) for row in rows}


async def history(tx: Tx, service_id: str, page: Page) -> Listing[ServiceDeploy]:
    """Deploys of the service, newest first, without their instances."""
    query = _t.select().where(_t.c.service_id == service_id)
    return await pages.read(tx, query, {"seq": _t.c.seq}, page, row_to_deploy, newest_first=True)


def asked_columns(asked: Asked) -> dict[str, str | None]:
    """How the columns of a new deploy say who asked."""
    return {"asked_by": asked.by, "origin": asked.origin, "origin_name": asked.name}


def row_to_deploy(row: Any, instance_deploys: tuple[InstanceDeploy, ...] = ()) -> ServiceDeploy:
    """The domain object of a row with all columns of `service_deploys`."""
    asked = Asked(row.origin or _BY_CAUSE.get(row.cause), row.asked_by, row.origin_name)
    return made_of(ServiceDeploy, row, instance_deploys=instance_deploys, asked=asked)


def row_to_instance_deploy(row: Any) -> InstanceDeploy:
    """The domain object of a row of `instance_deploys`."""
    return made_of(InstanceDeploy, row)
