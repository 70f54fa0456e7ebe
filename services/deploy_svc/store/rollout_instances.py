"""What steps of rollouts do to instances. Each function takes those of several services and is one statement or two."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.deploy_svc.domain.rollout_plan import Run, Snapshot, StopOnOldNode
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import volumes
from services.deploy_svc.store.given import given
from services.deploy_svc.store.jsonb import POD, to_json
from services.deploy_svc.store.tables import instance_deploys, instances
from services.kernel.db import Tx
from services.kernel.ids import new_id

# The id of a service and the number of an instance.
Key = tuple[str, int]

_t = instances.c
_KEY = (_t.service_id, _t.instance_number)


async def lock(
    tx: Tx,
    surplus: Collection[Key],
    runs: Sequence[tuple[Snapshot, Run]],
    stops: Sequence[tuple[Snapshot, StopOnOldNode]],
    ended: Sequence[Snapshot],
) -> None:
    """Lock the instances that are there and will be written, in the order in which everybody locks them."""
    written: list[tuple[Snapshot, Run | StopOnOldNode]] = [*runs, *stops]
    keys = {(snapshot.service.id, action.instance_number) for snapshot, action in written}
    keys &= {(snapshot.service.id, item.instance_number) for snapshot, _ in written for item in snapshot.instances}
    keys |= {(snapshot.service.id, item.instance_number) for snapshot in ended for item in snapshot.instances}
    keys |= set(surplus)
    if len(keys) > 1:
        wanted = given("wanted", _KEY, keys)
        await instance_store.lock(tx, _among(wanted))


def _among(wanted: sa.TableValuedAlias) -> sa.ColumnElement[bool]:
    return sa.tuple_(*_KEY).in_(sa.select(wanted.c.service_id, wanted.c.instance_number))


async def drop(tx: Tx, keys: Collection[Key]) -> set[str]:
    """These are too many. Returns the nodes that lose them."""
    if not keys:
        return set()
    gone = instances.delete().where(_among(given("gone", _KEY, keys))).returning(_t.node_id)
    return {row.node_id for row in await tx.execute(gone) if row.node_id}


async def stop(tx: Tx, stops: Sequence[tuple[Snapshot, StopOnOldNode]]) -> set[str]:
    """These stop where they are. Returns their nodes."""
    if not stops:
        return set()
    rows = ((snapshot.service.id, item.instance_number, item.deploy_rev) for snapshot, item in stops)
    leaving = given("leaving", (*_KEY, _t.deploy_rev), rows)
    update = (
        instances.update()
        .where(_t.service_id == leaving.c.service_id, _t.instance_number == leaving.c.instance_number)
        .values(
            desired_state="stopped",
            deploy_rev=leaving.c.deploy_rev,
            rev=None,
            error=None,
            updated_at=sa.func.now(),
        )
        .returning(_t.node_id)
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


async def run(tx: Tx, runs: Sequence[tuple[Snapshot, Run]]) -> set[str]:
    """These run, on their new nodes. Returns all nodes that this concerns."""
    if not runs:
        return set()
    rows = [
        {
            "id": new_id(),
            "service_id": snapshot.service.id,
            "grid_id": snapshot.service.grid_id,
            "instance_number": item.instance_number,
            "node_id": item.node_id,
            "desired_state": "running",
            "deploy_rev": item.deploy_rev,
            "service_revision": item.service_revision,
            "pod": to_json(POD, item.pod),
        }
        for snapshot, item in runs
    ]
    await _remember_formers(tx, runs)
    await tx.execute(_upsert(), rows)
    await volumes.record_instances(tx, [row for snapshot, item in runs for row in _volumes(snapshot, item)])
    return {item.node_id for _, item in runs} | {home for snapshot, item in runs if (home := _home(snapshot, item))}


def _upsert() -> sa.Insert:
    statement = insert(instances)
    new = statement.excluded
    moves = _t.node_id.is_distinct_from(new.node_id)
    return statement.on_conflict_do_update(
        index_elements=["service_id", "instance_number"],
        set_={
            **{name: new[name] for name in ("node_id", "desired_state", "deploy_rev", "service_revision", "pod")},
            **{
                name: sa.case((moves, sa.literal(value, _t[name].type)), else_=_t[name])
                for name, value in _UNOBSERVED.items()
            },
            "rev": None,
            "error": None,
            "updated_at": sa.func.now(),
        },
    )


def _home(snapshot: Snapshot, run: Run) -> str | None:
    """The node that the instance was on."""
    return next((item.node_id for item in snapshot.instances if item.instance_number == run.instance_number), None)


async def _remember_formers(tx: Tx, runs: Sequence[tuple[Snapshot, Run]]) -> None:
    """Keep what instances are now with their deploys, which may be canceled."""
    rows = [
        (snapshot.service.id, run.instance_number, run.deploy_id)
        for snapshot, run in runs
        if any(item.instance_number == run.instance_number for item in snapshot.instances)
    ]
    if not rows:
        return
    of = instance_deploys.c
    known = given("known", (*_KEY, of.deploy_id), rows)
    members: list[sa.ColumnElement[Any]] = []
    for name in ("node_id", "desired_state", "deploy_rev", "service_revision", "pod"):
        members += (sa.literal_column(f"'{name}'"), _t[name])
    await tx.execute(
        instance_deploys.update()
        .where(
            of.deploy_id == known.c.deploy_id,
            of.instance_number == known.c.instance_number,
            _t.service_id == known.c.service_id,
            _t.instance_number == known.c.instance_number,
        )
        .values(former=sa.func.jsonb_build_object(*members))
    )


def _volumes(snapshot: Snapshot, run: Run) -> list[dict[str, str]]:
    """The volumes that come to be on the node with the instance."""
    service = snapshot.service
    node = next((node.name for node in snapshot.nodes if node.id == run.node_id), "") if service.mounts else ""
    return [
        {
            "volume_id": mount.volume_id,
            "node_id": run.node_id,
            "node": node,
            "name": mount.instance_name(service.stack, service.full_name, run.instance_number),
        }
        for mount in service.mounts
    ]
