"""What a rollout step reads and writes: one short transaction that holds the row of its service.

The row lock keeps every other replica, and every request that changes the state of the service, out of the same step.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.pod import container_name
from services.deploy_svc.domain.rollout_plan import (
    Finish,
    MarkInstance,
    Place,
    Plan,
    RollBack,
    Run,
    Snapshot,
    Start,
    StopOnOldNode,
)
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.filters.dependency import attaches
from services.deploy_svc.domain.scheduling.pipeline import effective_affinity
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import InstanceDeploy, ServiceDeploy
from services.deploy_svc.store import good_specs, volumes
from services.deploy_svc.store.instances import lock, of_service
from services.deploy_svc.store.placement_facts import held_volumes, memory_need
from services.deploy_svc.store.services import row_to_service
from services.deploy_svc.store.tables import (
    NODE_CHANGED,
    SERVICE_CHANGED,
    instance_deploys,
    instances,
    service_deploys,
    services,
)
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id

A = TypeVar("A")

_PLACEMENT_LOCK = 0x504C4143


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


async def load(tx: Tx, claim: Claim, nodes: Sequence[NodeView], default_affinity: tuple[str, ...]) -> Snapshot:
    """All that the next step of the claimed service depends on. `nodes` and `default_affinity` are of its grid."""
    deploys = await _unfinished(tx, claim.service.id)
    own = await of_service(tx, claim.service.id)
    good = await good_specs.of_service(tx, claim.service.id) if _may_go_back(claim.service, deploys) else None
    service = good.of(claim.service) if good and deploys[0].cause == "rollback" else claim.service
    affinity = effective_affinity(service, default_affinity)
    recorded = await _neighbours(tx, service, affinity)
    revs = [rev for rev in (claim.last_rev, *(instance.deploy_rev for instance in own)) if rev]
    volumes = await held_volumes(tx, [service])
    views = tuple(
        replace(node.with_recorded(*recorded.get(node.id, ())), volumes=volumes.get((service.id, node.id), frozenset()))
        for node in nodes
    )
    return Snapshot(
        service=service,
        deploys=tuple(deploys),
        instances=tuple(own),
        nodes=(*views, *_unknown_homes(own, nodes)),
        affinity=affinity,
        last_rev=max(revs, default=None),
        good=good,
        memory_need=await memory_need(tx, service) if _places_more(deploys) else 0.0,
    )


def _places_more(deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and len(deploys[0].instance_deploys) < (deploys[0].total or 1)


def _may_go_back(service: Service, deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and (deploys[0].cause == "rollback" or bool(service.spec.deploy_opts.rollback))


async def apply(tx: Tx, snapshot: Snapshot, plan: Plan) -> None:
    """Do what the plan says, with a number of statements that does not grow with the number of instances."""
    await _lock_instances(tx, snapshot, plan)
    touched = await _apply_start(tx, snapshot, _all(plan, Start))
    await _apply_places(tx, _all(plan, Place), _all(plan, Run))
    touched |= await _apply_stops(tx, snapshot, _all(plan, StopOnOldNode))
    touched |= await _apply_runs(tx, snapshot, _all(plan, Run))
    await _apply_marks(tx, _all(plan, MarkInstance))
    for finish in _all(plan, Finish):
        await end(tx, finish)
        if finish.state == "success":
            await good_specs.remember(tx, snapshot.service.id, changed=snapshot.deploys[0].cause != "rollback")
        await notify(tx, SERVICE_CHANGED, snapshot.service.id)
    if _all(plan, RollBack):
        await queue_rollback(tx, snapshot.service.id)
    table = service_deploys.c
    await tx.execute(
        service_deploys.update()
        .where(table.service_id == snapshot.service.id, table.finished_at.is_(None))
        .values(
            due_at=plan.until, queued_at=sa.case((table.started_at.is_(None), sa.func.now()), else_=table.queued_at)
        )
    )
    if touched:
        nodes = sa.func.unnest(sa.cast(sorted(touched), ARRAY(sa.Text)))
        await tx.execute(sa.select(sa.func.pg_notify(NODE_CHANGED, nodes)))


async def end(tx: Tx, finish: Finish) -> None:
    """Write the final state together with the time; a deploy that ended already stays as it is."""
    await tx.execute(
        service_deploys.update()
        .where(service_deploys.c.id == finish.deploy_id, service_deploys.c.finished_at.is_(None))
        .values(state=finish.state, reason=finish.reason, finished_at=sa.func.now())
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
    deploys = await _unfinished(tx, service_id)
    if not deploys:
        return
    broken = instance_deploys.c
    await tx.execute(
        instance_deploys.update()
        .where(broken.deploy_id == deploys[0].id, broken.state.in_(("created", "ongoing")))
        .values(state="error", error=reason)
    )
    await end(tx, Finish(deploys[0].id, "error", reason))
    await notify(tx, SERVICE_CHANGED, service_id)


def _all(plan: Plan, kind: type[A]) -> list[A]:
    return [action for action in plan.actions if isinstance(action, kind)]


async def _unfinished(tx: Tx, service_id: str) -> list[ServiceDeploy]:
    """Unfinished deploys, oldest first; the first one with its instances."""
    table = service_deploys.c
    query = sa.select(service_deploys).where(table.service_id == service_id, table.finished_at.is_(None))
    rows = (await tx.execute(query.order_by(table.seq))).all()
    if not rows:
        return []
    placed = (
        sa.select(instance_deploys)
        .where(instance_deploys.c.deploy_id == rows[0].id)
        .order_by(instance_deploys.c.position)
    )
    rollouts = tuple(
        InstanceDeploy(item.instance_number, item.node_id, item.node, item.state, item.error, item.started_at)
        for item in await tx.execute(placed)
    )
    deploys = [
        ServiceDeploy(
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
            cause=row.cause,
            revision=row.revision,
        )
        for row in rows
    ]
    return [replace(deploys[0], instance_deploys=rollouts), *deploys[1:]]


async def _neighbours(tx: Tx, service: Service, affinity: tuple[str, ...]) -> dict[str, list[Recorded]]:
    """Instances of other services by node, as far as ports and affinity rules of this one look at them."""
    ports = sorted({port.node_port for port in service.spec.ports})
    by_name = names_instances(affinity) or attaches(service.spec)
    if not ports and not by_name:
        return {}
    if ports:
        # Two services that want the same port must not both find it free: in a grid they are placed one by one.
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_PLACEMENT_LOCK, sa.func.hashtext(service.grid_id))))
    relevant = [services.c.grid_id == service.grid_id, services.c.id != service.id]
    if not by_name:
        published = sa.func.jsonb_array_elements(services.c.spec["ports"]).table_valued("value").render_derived("port")
        node_port = sa.cast(sa.cast(published.c.value, JSONB)["node_port"].astext, sa.Integer)
        relevant.append(sa.exists(sa.select(sa.literal(1)).select_from(published).where(node_port.in_(ports))))
    columns = (services.c.id, services.c.stack, services.c.name, services.c.spec["ports"].label("ports"))
    here = (
        sa.select(instances.c.node_id, instances.c.instance_number, instances.c.container_id, *columns)
        .join(services, services.c.id == instances.c.service_id)
        .where(*relevant, instances.c.node_id.is_not(None))
    )
    on_their_way = (
        sa.select(instance_deploys.c.node_id, instance_deploys.c.instance_number, sa.null(), *columns)
        .join(service_deploys, service_deploys.c.id == instance_deploys.c.deploy_id)
        .join(services, services.c.id == service_deploys.c.service_id)
        .where(*relevant, instance_deploys.c.state == "ongoing", service_deploys.c.finished_at.is_(None))
    )
    found: dict[str, list[Recorded]] = defaultdict(list)
    for row in await tx.execute(sa.union_all(here, on_their_way)):
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


def _unknown_homes(own: Sequence[Instance], nodes: Sequence[NodeView]) -> list[NodeView]:
    """Nodes that hold instances but are not known here (yet, or any more): offline, so nothing is sent to them.

    A stateful instance stays with its data until the removal of its node is certain.
    """
    known = {node.id for node in nodes}
    homes = {instance.node_id for instance in own if instance.node_id and instance.node_id not in known}
    return [
        NodeView(id=home, name=f"{home} (not known)", number=0, connected=False, offline_seconds=float("inf"))
        for home in sorted(homes)
    ]


async def _lock_instances(tx: Tx, snapshot: Snapshot, plan: Plan) -> None:
    surplus = {number for start in _all(plan, Start) for number in start.surplus}
    moved = {run.instance_number for run in _all(plan, Run)} | {
        stop.instance_number for stop in _all(plan, StopOnOldNode)
    }
    numbers = (surplus | moved) & {item.instance_number for item in snapshot.instances}
    if len(numbers) > 1:
        await lock(tx, instances.c.service_id == snapshot.service.id, instances.c.instance_number.in_(numbers))


async def _apply_start(tx: Tx, snapshot: Snapshot, starts: Sequence[Start]) -> set[str]:
    """Returns the nodes that lose instances."""
    if not starts:
        return set()
    (start,) = starts
    await tx.execute(
        service_deploys.update()
        .where(service_deploys.c.id == start.deploy_id)
        .values(
            state="ongoing",
            deploy_rev=start.deploy_rev,
            total=start.total,
            started_at=sa.func.now(),
            queued_at=sa.func.coalesce(service_deploys.c.queued_at, sa.func.now()),
        )
    )
    begun: dict[str, Any] = {"deployed_at": sa.func.now()}
    if snapshot.deploys[0].cause != "rollback":
        begun |= {"deployed_revision": snapshot.service.revision, "pinned": False}
    await tx.execute(services.update().where(services.c.id == snapshot.service.id).values(begun))
    if not start.surplus:
        return set()
    gone = (
        instances.delete()
        .where(instances.c.service_id == snapshot.service.id, instances.c.instance_number.in_(start.surplus))
        .returning(instances.c.node_id)
    )
    return {row.node_id for row in await tx.execute(gone) if row.node_id}


async def _apply_places(tx: Tx, places: Sequence[Place], runs: Sequence[Run]) -> None:
    if places:
        rows = [
            {
                "deploy_id": place.deploy_id,
                "instance_number": place.instance_number,
                "position": place.position,
                "node_id": place.node_id,
                "node": place.node,
                "state": "ongoing",
            }
            for place in places
        ]
        await tx.execute(instance_deploys.insert().values(rows))
    placed = {place.instance_number for place in places}
    moved = [run for run in runs if run.instance_number not in placed]
    if moved:
        # The time limit counts anew on the new node.
        await tx.execute(
            instance_deploys.update()
            .where(
                instance_deploys.c.deploy_id == moved[0].deploy_id,
                instance_deploys.c.instance_number.in_([run.instance_number for run in moved]),
            )
            .values(started_at=sa.func.now())
        )


async def _apply_stops(tx: Tx, snapshot: Snapshot, stops: Sequence[StopOnOldNode]) -> set[str]:
    if not stops:
        return set()
    update = (
        instances.update()
        .where(
            instances.c.service_id == snapshot.service.id,
            instances.c.instance_number.in_([stop.instance_number for stop in stops]),
        )
        .values(
            desired_state="stopped",
            deploy_rev=stops[0].deploy_rev,
            rev=None,
            error=None,
            updated_at=sa.func.now(),
        )
        .returning(instances.c.node_id)
    )
    return {row.node_id for row in await tx.execute(update) if row.node_id}


# What a new node does not know yet of an instance that comes to it.
_UNOBSERVED: dict[str, Any] = {
    "state": "initialized",
    "container_id": None,
    "container_started_at": None,
    "health": None,
    "reported_session": 0,
    "reported_sequence": 0,
}


async def _apply_runs(tx: Tx, snapshot: Snapshot, runs: Sequence[Run]) -> set[str]:
    if not runs:
        return set()
    rows = [
        {
            "id": new_id(),
            "service_id": snapshot.service.id,
            "grid_id": snapshot.service.grid_id,
            "instance_number": run.instance_number,
            "node_id": run.node_id,
            "desired_state": "running",
            "deploy_rev": run.deploy_rev,
            "service_revision": run.service_revision,
            "pod": run.pod,
        }
        for run in runs
    ]
    statement = insert(instances).values(rows)
    new = statement.excluded
    moves = instances.c.node_id.is_distinct_from(new.node_id)
    upsert = statement.on_conflict_do_update(
        index_elements=["service_id", "instance_number"],
        set_={
            **{name: new[name] for name in ("node_id", "desired_state", "deploy_rev", "service_revision", "pod")},
            **{
                name: sa.case((moves, sa.literal(value, instances.c[name].type)), else_=instances.c[name])
                for name, value in _UNOBSERVED.items()
            },
            "rev": None,
            "error": None,
            "updated_at": sa.func.now(),
        },
    )
    await tx.execute(upsert)
    await volumes.record_instances(tx, _volume_instances(snapshot, runs))
    numbers = {run.instance_number for run in runs}
    left = {item.node_id for item in snapshot.instances if item.instance_number in numbers and item.node_id}
    return left | {run.node_id for run in runs}


def _volume_instances(snapshot: Snapshot, runs: Sequence[Run]) -> list[dict[str, str]]:
    """The volumes that come to be on nodes with the instances."""
    service, names = snapshot.service, {node.id: node.name for node in snapshot.nodes}
    return [
        {
            "volume_id": mount.volume_id,
            "node_id": run.node_id,
            "node": names.get(run.node_id, ""),
            "name": mount.instance_name(service.stack, service.full_name, run.instance_number),
        }
        for run in runs
        for mount in service.mounts
    ]


async def _apply_marks(tx: Tx, marks: Sequence[MarkInstance]) -> None:
    if not marks:
        return
    rows = sa.values(
        sa.column("number", sa.Integer), sa.column("state", sa.Text), sa.column("error", sa.Text), name="marks"
    ).data([(mark.instance_number, mark.state, mark.error) for mark in marks])
    await tx.execute(
        instance_deploys.update()
        .where(instance_deploys.c.deploy_id == marks[0].deploy_id, instance_deploys.c.instance_number == rows.c.number)
        .values(state=rows.c.state, error=sa.cast(rows.c.error, sa.Text))
    )
