"""The queue of the rollout loop: which services have work to do, who has a service, how deploys end.

The row lock of a claim keeps every other replica, and every request that changes the state of the service, out of the
same step. What a step reads is in rollout_snapshots.py, what it writes in rollout_plans.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.deploy_svc.domain.rollout_plan import Finish
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import InstanceDeploy, ServiceDeploy
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store.services import row_to_service
from services.deploy_svc.store.tables import (
    DEPLOY_ENDED,
    SERVICE_CHANGED,
    instance_deploys,
    service_deploys,
    services,
)
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Claim:
    """A service whose row is locked until the transaction ends; `now` is the clock of the database."""

    service: Service
    now: datetime
    last_rev: str | None


async def due(tx: Tx, limit: int = 200) -> list[str]:
    """Services with an unfinished deploy whose time has come, longest waiting first."""
    table = service_deploys.c
    query = (
        sa.select(table.service_id)
        .where(table.finished_at.is_(None), table.due_at <= sa.func.now())
        .group_by(table.service_id)
        .order_by(sa.func.min(table.due_at))
        .limit(limit)
    )
    return list((await tx.execute(query)).scalars())


async def deploying_in(tx: Tx, grid_ids: Collection[str]) -> list[str]:
    """Services of the grids with an unfinished deploy."""
    query = (
        sa.select(service_deploys.c.service_id)
        .join(services, services.c.id == service_deploys.c.service_id)
        .where(service_deploys.c.finished_at.is_(None), services.c.grid_id.in_(grid_ids))
        .distinct()
    )
    return list((await tx.execute(query)).scalars())


async def claim(tx: Tx, service_id: str) -> Claim | None:
    """Lock the service if it has an unfinished deploy and nobody else holds it; None otherwise."""
    unfinished = sa.exists().where(
        service_deploys.c.service_id == services.c.id, service_deploys.c.finished_at.is_(None)
    )
    last_rev = (
        sa.select(service_deploys.c.deploy_rev)
        .where(service_deploys.c.service_id == services.c.id, service_deploys.c.deploy_rev.is_not(None))
        .order_by(service_deploys.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(services, sa.func.now().label("now"), last_rev.label("last_rev"))
        .where(services.c.id == service_id, unfinished)
        # Not FOR UPDATE: that would make requests wait that only insert a deploy.
        .with_for_update(of=services, skip_locked=True, key_share=True)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Claim(row_to_service(row), row.now, row.last_rev)


async def unfinished(tx: Tx, service_id: str) -> list[ServiceDeploy]:
    """Unfinished deploys, oldest first; the first one with its instances."""
    table = service_deploys.c
    query = sa.select(service_deploys).where(table.service_id == service_id, table.finished_at.is_(None))
    rows = (await tx.execute(query.order_by(table.seq))).all()
    if not rows:
        return []
    placed = await _placed(tx, rows[0].id) if rows[0].started_at is not None else ()
    return [deploy_store.row_to_deploy(rows[0], placed), *map(deploy_store.row_to_deploy, rows[1:])]


async def _placed(tx: Tx, deploy_id: str) -> tuple[InstanceDeploy, ...]:
    table = instance_deploys.c
    query = sa.select(*deploy_store.INSTANCE_DEPLOY).where(table.deploy_id == deploy_id).order_by(table.position)
    return tuple(map(deploy_store.row_to_instance_deploy, await tx.execute(query)))


async def end(tx: Tx, service_id: str, finish: Finish, *, canceled: bool = False) -> None:
    """Write the final state together with the time and tell who waits for it; an ended deploy stays as it is."""
    now = sa.func.clock_timestamp()
    await tx.execute(
        service_deploys.update()
        .where(service_deploys.c.id == finish.deploy_id, service_deploys.c.finished_at.is_(None))
        .values(state=finish.state, reason=finish.reason, finished_at=now, canceled_at=now if canceled else None)
        .returning(sa.func.pg_notify(DEPLOY_ENDED, service_id))
    )


async def queue_rollback(tx: Tx, service_id: str, situation: str | None = None) -> None:
    """Queue a deploy of the last good spec. Call with the service locked.

    It gets a revision of its own, so that nodes recreate what ran something else; the next deploy of a user gets a
    greater one again. Until then the service stays with its last good spec.
    """
    table = services.c
    changed = services.update().where(table.id == service_id).returning(table.revision)
    revision = (
        await tx.execute(changed.values(revision=table.revision + 2, deployed_revision=table.revision + 2, pinned=True))
    ).scalar_one()
    values = {"id": new_id(), "service_id": service_id, "cause": "rollback", "revision": revision - 1}
    await tx.execute(service_deploys.insert().values(**values, situation=situation))
    await notify(tx, SERVICE_CHANGED, service_id)


async def end_broken(tx: Tx, service_id: str, reason: str) -> None:
    """End the oldest unfinished deploy of a service and what it has in transition, because it cannot be carried on."""
    deploys = await unfinished(tx, service_id)
    if not deploys:
        return
    broken = instance_deploys.c
    await tx.execute(
        instance_deploys.update()
        .where(broken.deploy_id == deploys[0].id, broken.state.in_(("created", "ongoing")))
        .values(state="error", error=reason)
    )
    await end(tx, service_id, Finish(deploys[0].id, "error", reason))
    await notify(tx, SERVICE_CHANGED, service_id)
