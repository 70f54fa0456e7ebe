"""What a rollout step writes, in the transaction of its claim."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

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
    Unplaced,
)
from services.deploy_svc.store import good_specs, volumes
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store.instances import lock
from services.deploy_svc.store.jsonb import POD, to_json
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


async def apply(tx: Tx, snapshot: Snapshot, plan: Plan) -> None:
    """Do what the plan says, with a number of statements that does not grow with the number of instances."""
    await _lock_instances(tx, snapshot, plan)
    touched = await _apply_start(tx, snapshot, _all(plan, Start))
    await _apply_places(tx, _all(plan, Place), _all(plan, Unplaced), _all(plan, Run))
    touched |= await _apply_stops(tx, snapshot, _all(plan, StopOnOldNode))
    touched |= await _apply_runs(tx, snapshot, _all(plan, Run))
    await mark(tx, _all(plan, MarkInstance))
    left = await _apply_ends(tx, snapshot, _all(plan, Finish))
    if _all(plan, RollBack):
        await deploy_store.queue_rollback(tx, snapshot.service.id)
        left = True
    if left:
        await _look_again(tx, snapshot.service.id, plan.until)
    if touched:
        nodes = sa.func.unnest(sa.cast(sorted(touched), ARRAY(sa.Text)))
        await tx.execute(sa.select(sa.func.pg_notify(NODE_CHANGED, nodes)))


async def _apply_ends(tx: Tx, snapshot: Snapshot, ends: Sequence[Finish]) -> bool:
    """Whether deploys of the service are left."""
    for finish in ends:
        await deploy_store.end(tx, snapshot.service.id, finish)
        if finish.state == "success":
            await good_specs.remember(tx, snapshot.service.id, changed=snapshot.deploys[0].cause != "rollback")
    left = len(snapshot.deploys) > len(ends)
    if ends and left:
        await notify(tx, SERVICE_CHANGED, snapshot.service.id)
    return left


async def _look_again(tx: Tx, service_id: str, until: datetime) -> None:
    table = service_deploys.c
    queued_at = sa.case((table.started_at.is_(None), sa.func.now()), else_=table.queued_at)
    await tx.execute(
        service_deploys.update()
        .where(table.service_id == service_id, table.finished_at.is_(None))
        .values(due_at=until, queued_at=queued_at)
    )


def _all(plan: Plan, kind: type[A]) -> list[A]:
    return [action for action in plan.actions if isinstance(action, kind)]


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
            started_at=sa.func.clock_timestamp(),
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


async def _apply_places(tx: Tx, places: Sequence[Place], refused: Sequence[Unplaced], runs: Sequence[Run]) -> None:
    rows: list[tuple[Place | Unplaced, str, str, str, str | None]] = [
        *((item, item.node_id, item.node, "ongoing", None) for item in places),
        *((item, "", "", "error", item.error) for item in refused),
    ]
    if rows:
        # One row per execution, so that the statement is the same whatever their number, and compiled once.
        await tx.execute(
            instance_deploys.insert(),
            [
                {
                    "deploy_id": item.deploy_id,
                    "instance_number": item.instance_number,
                    "position": item.position,
                    "node_id": node_id,
                    "node": node,
                    "state": state,
                    "error": error,
                    "former": {},
                }
                for item, node_id, node, state, error in rows
            ],
        )
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
            .values(started_at=sa.func.clock_timestamp())
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
    "data_volumes": None,
    "address": None,
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
            "pod": to_json(POD, run.pod),
        }
        for run in runs
    ]
    statement = insert(instances)
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
    await _remember_formers(tx, snapshot, runs)
    await tx.execute(upsert, rows)
    await volumes.record_instances(tx, _volume_instances(snapshot, runs))
    numbers = {run.instance_number for run in runs}
    left = {item.node_id for item in snapshot.instances if item.instance_number in numbers and item.node_id}
    return left | {run.node_id for run in runs}


async def _remember_formers(tx: Tx, snapshot: Snapshot, runs: Sequence[Run]) -> None:
    """Keep what instances are now with their deploys, which may be canceled."""
    existing = {item.instance_number for item in snapshot.instances}
    numbers = [run.instance_number for run in runs if run.instance_number in existing]
    if not numbers:
        return
    names = ("node_id", "desired_state", "deploy_rev", "service_revision", "pod")
    members: list[sa.ColumnElement[Any]] = []
    for name in names:
        members += (sa.literal_column(f"'{name}'"), instances.c[name])
    await tx.execute(
        instance_deploys.update()
        .where(
            instance_deploys.c.deploy_id == runs[0].deploy_id,
            instance_deploys.c.instance_number.in_(numbers),
            instances.c.service_id == snapshot.service.id,
            instances.c.instance_number == instance_deploys.c.instance_number,
        )
        .values(former=sa.func.jsonb_build_object(*members))
    )


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


async def mark(tx: Tx, marks: Sequence[MarkInstance]) -> None:
    """Rollouts of instances of one deploy ended."""
    if not marks:
        return
    numbers = sa.cast([mark.instance_number for mark in marks], ARRAY(sa.Integer))
    states = sa.cast([mark.state for mark in marks], ARRAY(sa.Text))
    errors = sa.cast([mark.error for mark in marks], ARRAY(sa.Text))
    columns = (sa.column("number", sa.Integer), sa.column("state", sa.Text), sa.column("error", sa.Text))
    rows = sa.func.unnest(numbers, states, errors).table_valued(*columns, name="marks").render_derived()
    await tx.execute(
        instance_deploys.update()
        .where(instance_deploys.c.deploy_id == marks[0].deploy_id, instance_deploys.c.instance_number == rows.c.number)
        .values(state=rows.c.state, error=rows.c.error, former=None)
    )
