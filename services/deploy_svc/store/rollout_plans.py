"""What steps of rollouts write, in the transaction of their claims; what of it concerns instances is in
rollout_instances.py."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.rollout_plan import (
    Finish,
    Keep,
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
from services.deploy_svc.store import good_specs, rollout_instances
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store.given import given
from services.deploy_svc.store.tables import (
    NODE_CHANGED,
    SERVICE_CHANGED,
    instance_deploys,
    service_deploys,
    services,
)
from services.kernel.db import Tx

A = TypeVar("A")

_d = service_deploys.c
_i = instance_deploys.c


async def apply(tx: Tx, steps: Sequence[tuple[Snapshot, Plan]]) -> None:
    """Do what the plans say, one of each service, with a number of statements that grows neither with the services nor
    with their instances."""
    starts, runs, ends = _all(steps, Start), _all(steps, Run), _all(steps, Finish)
    stops = _all(steps, StopOnOldNode)
    surplus = [(snapshot.service.id, number) for snapshot, start in starts for number in start.surplus]
    await rollout_instances.lock(tx, surplus, runs, stops, [snapshot for snapshot, _ in ends])
    await _begin(tx, starts)
    touched = await rollout_instances.drop(tx, surplus)
    await _place(tx, steps)
    touched |= await rollout_instances.stop(tx, stops)
    touched |= await rollout_instances.run(tx, runs)
    await mark(tx, [item for _, item in _all(steps, MarkInstance)])
    await _end(tx, ends)
    for snapshot, _ in _all(steps, RollBack):
        await deploy_store.queue_rollback(tx, snapshot.service.id)
    await _look_again(tx, steps)
    await _notify(tx, NODE_CHANGED, touched)


def _all(steps: Sequence[tuple[Snapshot, Plan]], kind: type[A]) -> list[tuple[Snapshot, A]]:
    return [(snapshot, action) for snapshot, plan in steps for action in plan.actions if isinstance(action, kind)]


async def _begin(tx: Tx, starts: Sequence[tuple[Snapshot, Start]]) -> None:
    if not starts:
        return
    begun = given(
        "begun",
        (_d.id, _d.deploy_rev, _d.total),
        ((start.deploy_id, start.deploy_rev, start.total) for _, start in starts),
    )
    await tx.execute(
        service_deploys.update()
        .where(_d.id == begun.c.id)
        .values(
            state="ongoing",
            deploy_rev=begun.c.deploy_rev,
            total=begun.c.total,
            started_at=sa.func.clock_timestamp(),
            queued_at=sa.func.coalesce(_d.queued_at, sa.func.now()),
        )
    )
    # A rollback leaves the revision as it is.
    of = given(
        "of",
        (services.c.id, services.c.revision),
        (
            (found.service.id, None if found.deploys[0].cause == "rollback" else found.service.revision)
            for found, _ in starts
        ),
    )
    await tx.execute(
        services.update()
        .where(services.c.id == of.c.id)
        .values(
            deployed_at=sa.func.now(),
            deployed_revision=sa.func.coalesce(of.c.revision, services.c.deployed_revision),
            pinned=sa.and_(services.c.pinned, of.c.revision.is_(None)),
        )
    )


async def _place(tx: Tx, steps: Sequence[tuple[Snapshot, Plan]]) -> None:
    places = [item for _, item in _all(steps, Place)]
    kept = [item for _, item in _all(steps, Keep)]
    refused = [item for _, item in _all(steps, Unplaced)]
    rows: list[tuple[Place | Keep | Unplaced, str, str, str, str | None]] = [
        *((item, item.node_id, item.node, "ongoing", None) for item in places),
        *((item, item.node_id, item.node, "success", None) for item in kept),
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
                    "former": {} if state == "ongoing" else None,
                }
                for item, node_id, node, state, error in rows
            ],
        )
    placed = {(place.deploy_id, place.instance_number) for place in places}
    runs = {(run.deploy_id, run.instance_number) for _, run in _all(steps, Run)}
    if moved := runs - placed:
        # The time limit counts anew on the new node.
        on_new = given("on_new", (_i.deploy_id, _i.instance_number), moved)
        await tx.execute(
            instance_deploys.update()
            .where(_i.deploy_id == on_new.c.deploy_id, _i.instance_number == on_new.c.instance_number)
            .values(started_at=sa.func.clock_timestamp())
        )


async def mark(tx: Tx, marks: Sequence[MarkInstance]) -> None:
    """Rollouts of instances ended."""
    if not marks:
        return
    rows = given(
        "marks",
        (_i.deploy_id, _i.instance_number, _i.state, _i.error),
        ((mark.deploy_id, mark.instance_number, mark.state, mark.error) for mark in marks),
    )
    await tx.execute(
        instance_deploys.update()
        .where(_i.deploy_id == rows.c.deploy_id, _i.instance_number == rows.c.instance_number)
        .values(state=rows.c.state, error=rows.c.error, former=None)
    )


async def _end(tx: Tx, ends: Sequence[tuple[Snapshot, Finish]]) -> None:
    await deploy_store.end(tx, [(snapshot.service.id, finish) for snapshot, finish in ends])
    good = [snapshot for snapshot, finish in ends if finish.state == "success"]
    await good_specs.remember(
        tx,
        [snapshot.service.id for snapshot in good],
        changed=[snapshot.service.id for snapshot in good if snapshot.deploys[0].cause != "rollback"],
    )
    finishes = [finish for _, finish in ends]
    await _notify(tx, SERVICE_CHANGED, {snapshot.service.id for snapshot, _ in ends if _left(snapshot, finishes)})


async def _look_again(tx: Tx, steps: Sequence[tuple[Snapshot, Plan]]) -> None:
    """Deploys that are left are due when their plan says so."""
    left = [
        (snapshot.service.id, plan.until)
        for snapshot, plan in steps
        if _left(snapshot, plan.actions) or any(isinstance(action, RollBack) for action in plan.actions)
    ]
    if not left:
        return
    due = given("due", (_d.service_id, _d.due_at), left)
    queued_at = sa.case((_d.started_at.is_(None), sa.func.now()), else_=_d.queued_at)
    await tx.execute(
        service_deploys.update()
        .where(_d.service_id == due.c.service_id, _d.finished_at.is_(None))
        .values(due_at=due.c.due_at, queued_at=queued_at)
    )


def _left(snapshot: Snapshot, actions: Sequence[Any]) -> bool:
    """Whether deploys of the service are left after the actions."""
    own = {deploy.id for deploy in snapshot.deploys}
    return bool(own - {action.deploy_id for action in actions if isinstance(action, Finish)})


async def _notify(tx: Tx, channel: str, keys: set[str]) -> None:
    if keys:
        each = sa.func.unnest(sa.cast(sorted(keys), ARRAY(sa.Text)))
        await tx.execute(sa.select(sa.func.pg_notify(channel, each)))
