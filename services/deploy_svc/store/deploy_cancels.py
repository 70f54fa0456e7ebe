"""What canceling a deploy of a service reads and writes. Call all of it with the service locked."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.deploy_cancel import Cancellation
from services.deploy_svc.store import rollout_plans
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store.instances import lock
from services.deploy_svc.store.tables import (
    NODE_CHANGED,
    SERVICE_CHANGED,
    instance_deploys,
    instances,
    service_deploys,
    services,
)
from services.kernel.db import Tx, notify

_own, _going = instances.c, instance_deploys.c


async def formers(tx: Tx, deploy_id: str) -> dict[int, str | None]:
    """What is known of the instances of a deploy that are under way, as `domain.deploy_cancel.cancel` takes it."""
    query = sa.select(_going.instance_number, _going.former).where(
        _going.deploy_id == deploy_id, _going.state == "ongoing", _going.former.is_not(None)
    )
    return {row.instance_number: row.former["node_id"] if row.former else "" for row in await tx.execute(query)}


async def apply(tx: Tx, service_id: str, plan: Cancellation) -> None:
    """Do what the plan says; nothing deploys the service by itself because of what is not deployed of it."""
    where = (_own.service_id == service_id, _own.instance_number.in_((*plan.back, *plan.again, *plan.dropped)))
    if plan.back or plan.again or plan.dropped:
        await lock(tx, *where)
    touched = await _go_back(tx, service_id, plan.finish.deploy_id, plan.back)
    touched |= await _run_again(tx, service_id, plan.again)
    touched |= await _drop(tx, service_id, plan.dropped)
    await rollout_plans.mark(tx, plan.marks)
    await deploy_store.end(tx, [(service_id, plan.finish)], canceled=True)
    await _hold(tx, service_id)
    if touched:
        nodes = sa.func.unnest(sa.cast(sorted(touched), ARRAY(sa.Text)))
        await tx.execute(sa.select(sa.func.pg_notify(NODE_CHANGED, nodes)))
    await notify(tx, SERVICE_CHANGED, service_id)


async def _go_back(tx: Tx, service_id: str, deploy_id: str, numbers: Collection[int]) -> set[str]:
    if not numbers:
        return set()
    former = _going.former
    changed = (
        instances.update()
        .where(
            _own.service_id == service_id,
            _own.instance_number.in_(numbers),
            _going.deploy_id == deploy_id,
            _going.instance_number == _own.instance_number,
        )
        .values(
            desired_state=former["desired_state"].astext,
            deploy_rev=former["deploy_rev"].astext,
            service_revision=sa.cast(former["service_revision"].astext, sa.Integer),
            pod=former["pod"],
            **_UNREPORTED,
        )
        .returning(_own.node_id)
    )
    return {row.node_id for row in await tx.execute(changed)}


async def _run_again(tx: Tx, service_id: str, numbers: Collection[int]) -> set[str]:
    if not numbers:
        return set()
    where = (_own.service_id == service_id, _own.instance_number.in_(numbers))
    changed = instances.update().where(*where).values(desired_state="running", **_UNREPORTED).returning(_own.node_id)
    return {row.node_id for row in await tx.execute(changed)}


async def _drop(tx: Tx, service_id: str, numbers: Collection[int]) -> set[str]:
    if not numbers:
        return set()
    gone = instances.delete().where(_own.service_id == service_id, _own.instance_number.in_(numbers))
    return {row.node_id for row in await tx.execute(gone.returning(_own.node_id)) if row.node_id}


async def _hold(tx: Tx, service_id: str) -> None:
    """The revision counts as deployed; a service of which nothing is there, and none to come, is as it was new."""
    there = sa.exists().where(_own.service_id == service_id)
    coming = sa.exists().where(service_deploys.c.service_id == service_id, service_deploys.c.finished_at.is_(None))
    state = sa.case((sa.or_(there, coming), services.c.state), else_="initialized")
    await tx.execute(
        services.update().where(services.c.id == service_id).values(deployed_revision=services.c.revision, state=state)
    )


_UNREPORTED: Mapping[str, object] = {"rev": None, "error": None, "updated_at": sa.func.now()}
