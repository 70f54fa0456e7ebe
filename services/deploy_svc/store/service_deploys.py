"""Deploys: queued by requests, read for progress and history, claimed by the rollout loop and brought to their end.

The row lock of a claim keeps every other replica, and every request that changes the state of the service, out of the
same step. What a step reads is in rollout_snapshots.py, what it writes in rollout_plans.py.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.deploy_svc.domain.rollout_plan import Finish
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked, InstanceDeploy, Origin, ServiceDeploy
from services.deploy_svc.store import stack_tables, tables
from services.deploy_svc.store.given import given, of_any
from services.deploy_svc.store.services import row_to_service
from services.deploy_svc.store.tables import services
from services.kernel import pages
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page

_t = tables.service_deploys
_i = tables.instance_deploys

# All but `former`, which is large and nobody's business here.
_INSTANCE_DEPLOY = [column for column in _i.c if column.name != "former"]
# What deploys came from that no request asked for.
_BY_CAUSE: Mapping[str, Origin] = {"automatic": "automatic", "rollback": "failed_deploy"}


@dataclass(frozen=True, slots=True)
class Claim:
    """A service whose row is locked until the transaction ends; `now` is the clock of the database."""

    service: Service
    now: datetime
    last_rev: str | None


async def insert(tx: Tx, service_id: str, asked: Asked, moves: Mapping[int, str] | None = None) -> str:
    """Queue a deploy, or a rebalance that moves these instances, and wake the rollout loop when the transaction
    commits. Returns its id."""
    deploy_id = new_id()
    wake = sa.func.pg_notify(tables.SERVICE_CHANGED, service_id)
    values: dict[str, Any] = {"id": deploy_id, "service_id": service_id, **asked_columns(asked)}
    if moves is not None:
        values["moves"] = {str(number): node_id for number, node_id in moves.items()}
    await tx.execute(_t.insert().values(values).returning(wake))
    return deploy_id


async def insert_many(tx: Tx, service_ids: Collection[str], asked: Asked) -> dict[str, str]:
    """The same for several services, in one statement. Returns the ids of their deploys."""
    ids = {service_id: new_id() for service_id in service_ids}
    queued = given("queued", (_t.c.service_id, _t.c.id), ids.items())
    columns = {name: sa.literal(value, _t.c[name].type) for name, value in asked_columns(asked).items()}
    rows = sa.select(queued.c.service_id, queued.c.id, *columns.values())
    wake = sa.func.pg_notify(tables.SERVICE_CHANGED, _t.c.service_id)
    await tx.execute(_t.insert().from_select(["service_id", "id", *columns], rows).returning(wake))
    return ids


async def find(tx: Tx, service_id: str, deploy_id: str) -> ServiceDeploy | None:
    """A deploy of the service with its instances in the order they were scheduled."""
    found = (await find_many(tx, [deploy_id])).get(deploy_id)
    return found if found is not None and found.service_id == service_id else None


async def find_many(tx: Tx, deploy_ids: Collection[str]) -> dict[str, ServiceDeploy]:
    """Deploys by id with their instances, in two queries."""
    rows = (await tx.execute(_t.select().where(_t.c.id.in_(deploy_ids)))).all() if deploy_ids else []
    if not rows:
        return {}
    instances = await _instances(tx, deploy_ids)
    return {row.id: row_to_deploy(row, instances.get(row.id, ())) for row in rows}


async def history(tx: Tx, service_id: str, page: Page) -> Listing[ServiceDeploy]:
    """Deploys of the service, newest first, without their instances."""
    query = _t.select().where(_t.c.service_id == service_id)
    return await pages.read(tx, query, {"seq": _t.c.seq}, page, row_to_deploy, newest_first=True)


async def due(tx: Tx, limit: int = 200) -> list[str]:
    """Services with an unfinished deploy whose time has come, longest waiting first."""
    query = (
        sa.select(_t.c.service_id)
        .where(_t.c.finished_at.is_(None), _t.c.due_at <= sa.func.now())
        .group_by(_t.c.service_id)
        .order_by(sa.func.min(_t.c.due_at))
        .limit(limit)
    )
    return list((await tx.execute(query)).scalars())


async def deploying_in(tx: Tx, grid_ids: Collection[str]) -> list[str]:
    """Services of the grids with an unfinished deploy."""
    query = (
        sa.select(_t.c.service_id)
        .join(services, services.c.id == _t.c.service_id)
        .where(_t.c.finished_at.is_(None), services.c.grid_id.in_(grid_ids))
        .distinct()
    )
    return list((await tx.execute(query)).scalars())


async def claim(tx: Tx, service_ids: Collection[str]) -> list[Claim]:
    """Lock those of the services that have an unfinished deploy and that nobody else holds."""
    unfinished = sa.exists().where(_t.c.service_id == services.c.id, _t.c.finished_at.is_(None))
    last_rev = (
        sa.select(_t.c.deploy_rev)
        .where(_t.c.service_id == services.c.id, _t.c.deploy_rev.is_not(None))
        .order_by(_t.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(services, sa.func.now().label("now"), last_rev.label("last_rev"))
        .where(of_any(services.c.id, service_ids), unfinished)
        # Not FOR UPDATE: that would make requests wait that only insert a deploy.
        .with_for_update(of=services, skip_locked=True, key_share=True)
    )
    return [Claim(row_to_service(row), row.now, row.last_rev) for row in await tx.execute(query)]


async def unfinished(tx: Tx, service_ids: Collection[str]) -> dict[str, list[ServiceDeploy]]:
    """Unfinished deploys of each of the services, oldest first; the first one with its instances."""
    query = _t.select().where(of_any(_t.c.service_id, service_ids), _t.c.finished_at.is_(None)).order_by(_t.c.seq)
    found: dict[str, list[Any]] = {service_id: [] for service_id in service_ids}
    for row in await tx.execute(query):
        found[row.service_id].append(row)
    first = [rows[0] for rows in found.values() if rows]
    placed = await _instances(tx, [row.id for row in first if row.started_at is not None])
    return {key: [row_to_deploy(row, placed.get(row.id, ())) for row in rows] for key, rows in found.items()}


async def end(tx: Tx, finishes: Collection[tuple[str, Finish]], *, canceled: bool = False) -> None:
    """Write the final states of deploys of services (ids) together with the time and tell who waits for them; an ended
    deploy stays as it is."""
    if not finishes:
        return
    now = sa.func.clock_timestamp()
    rows = ((item.deploy_id, item.state, item.reason) for _, item in finishes)
    ended = given("ended", (_t.c.id, _t.c.state, _t.c.reason), rows)
    await tx.execute(
        _t.update()
        .where(_t.c.id == ended.c.id, _t.c.finished_at.is_(None))
        .values(state=ended.c.state, reason=ended.c.reason, finished_at=now, canceled_at=now if canceled else None)
        .returning(sa.func.pg_notify(tables.DEPLOY_ENDED, _t.c.service_id))
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
    await tx.execute(_t.insert().values(**values, situation=situation))
    await notify(tx, tables.SERVICE_CHANGED, service_id)


async def end_broken(tx: Tx, service_id: str, reason: str) -> None:
    """End the oldest unfinished deploy of a service and what it has in transition, because it cannot be carried on."""
    deploys = (await unfinished(tx, [service_id]))[service_id]
    if not deploys:
        return
    broken = _i.c
    await tx.execute(
        _i.update()
        .where(broken.deploy_id == deploys[0].id, broken.state.in_(("created", "ongoing")))
        .values(state="error", error=reason)
    )
    await end(tx, [(service_id, Finish(deploys[0].id, "error", reason))])
    await notify(tx, tables.SERVICE_CHANGED, service_id)


async def trim(tx: Tx, keep: int) -> int:
    """Of each service and of each stack keep the newest `keep` finished deploys; unfinished ones stay. Returns how many
    went."""
    stack_deploys = stack_tables.stack_deploys
    gone = await _trim(tx, _t, _t.c.service_id, _t.c.seq, keep)
    return gone + await _trim(tx, stack_deploys, stack_deploys.c.stack_id, stack_deploys.c.created_at, keep)


async def _trim(tx: Tx, table: sa.Table, owner: sa.Column[str], age: sa.Column[Any], keep: int) -> int:
    rank = sa.func.row_number().over(partition_by=owner, order_by=age.desc())
    ranked = sa.select(table.c.id, rank.label("n")).where(table.c.finished_at.is_not(None)).subquery()
    old = sa.select(ranked.c.id).where(ranked.c.n > keep)
    return (await tx.execute(table.delete().where(table.c.id.in_(old)))).rowcount


async def _instances(tx: Tx, deploy_ids: Collection[str]) -> Mapping[str, tuple[InstanceDeploy, ...]]:
    """Of deploys, in the order they were scheduled; one query, or none for none."""
    found: defaultdict[str, list[InstanceDeploy]] = defaultdict(list)
    query = sa.select(*_INSTANCE_DEPLOY).where(of_any(_i.c.deploy_id, deploy_ids)).order_by(_i.c.position)
    for row in await tx.execute(query) if deploy_ids else ():
        found[row.deploy_id].append(made_of(InstanceDeploy, row))
    return {deploy_id: tuple(instances) for deploy_id, instances in found.items()}


def asked_columns(asked: Asked) -> dict[str, str | None]:
    """How the columns of a new deploy say who asked."""
    return {"asked_by": asked.by, "origin": asked.origin, "origin_name": asked.name}


def row_to_deploy(row: Any, instance_deploys: tuple[InstanceDeploy, ...] = ()) -> ServiceDeploy:
    """The domain object of a row with all columns of `service_deploys`."""
    asked = Asked(row.origin or _BY_CAUSE.get(row.cause), row.asked_by, row.origin_name)
    moves = None if row.moves is None else {int(number): node_id for number, node_id in row.moves.items()}
    return made_of(ServiceDeploy, row, instance_deploys=instance_deploys, asked=asked, moves=moves)
