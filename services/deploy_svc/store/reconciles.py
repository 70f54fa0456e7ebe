"""What the reconcile loop reads and writes. Replicas claim checks of services, so each service has one at a time."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.deploy_svc.domain.instance import DesiredState
from services.deploy_svc.domain.reconcile import Case, PastDeploy
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.filters.dependency import attaches
from services.deploy_svc.domain.scheduling.own_records import with_own
from services.deploy_svc.domain.scheduling.pipeline import effective_affinity
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.store import good_specs
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store.instances import lock, notify_nodes, of_services
from services.deploy_svc.store.placement_facts import held_volumes, recorded_in_grid
from services.deploy_svc.store.stack_tables import stack_deploys, stacks
from services.deploy_svc.store.tables import SERVICE_CHANGED, instances, service_checks, service_deploys, services
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id

_CHECKS = service_checks.c
# How many finished deploys tell what is going on.
_PAST = 10
_STACK_WINDOW = sa.text("interval '30 minutes'")


@dataclass(frozen=True, slots=True)
class World:
    """The claimed services by grid, and the time by the clock of the database."""

    now: datetime
    by_grid: Mapping[str, Sequence["Subject"]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A service with all that is not about nodes."""

    case: Case
    wanted: Service


async def claim(tx: Tx, period: float, limit: int) -> list[str]:
    """Running services whose check is due. They are due again after about `period` seconds, whatever happens."""
    await tx.execute(
        insert(service_checks)
        .from_select(
            ["service_id"],
            sa.select(services.c.id).where(
                services.c.state == "running", ~sa.exists().where(_CHECKS.service_id == services.c.id)
            ),
        )
        .on_conflict_do_nothing()
    )
    due = (
        sa.select(_CHECKS.service_id)
        .where(_CHECKS.due_at <= sa.func.now())
        .where(sa.exists().where(services.c.id == _CHECKS.service_id, services.c.state == "running"))
        .order_by(_CHECKS.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claimed = service_checks.update().where(_CHECKS.service_id.in_(due)).returning(_CHECKS.service_id)
    return list((await tx.execute(claimed.values(due_at=_after(period)))).scalars())


async def expedite(
    tx: Tx, *, nodes: Collection[str] = (), usable: Collection[str] = (), ruled: Collection[str] = ()
) -> None:
    """Look at once at what a change concerns: services with instances on the `nodes`; in the grids that have a `usable`
    node more, services that might use it; all services of the grids `ruled` by other rules."""
    table, own = services.c, instances.c
    there = sa.select(own.service_id).where(own.node_id.in_(nodes))
    used = sa.select(sa.func.count(own.node_id.distinct())).where(own.service_id == table.id).scalar_subquery()
    wanted = sa.cast(table.spec["instances"].astext, sa.Integer)
    hungry = sa.or_(used < wanted, table.spec["strategy"].astext == "daemon")
    concerned = sa.or_(table.id.in_(there), table.grid_id.in_(ruled), sa.and_(table.grid_id.in_(usable), hungry))
    await _look_now(tx, sa.select(table.id).where(table.state == "running", concerned))


async def expedite_services(tx: Tx, service_ids: Collection[str]) -> None:
    """Look at these services at once."""
    await _look_now(tx, sa.select(services.c.id).where(services.c.id.in_(service_ids)))


async def _look_now(tx: Tx, service_ids: sa.Select[tuple[str]]) -> None:
    now = sa.func.now()
    locked = sa.select(_CHECKS.service_id).where(_CHECKS.service_id.in_(service_ids), _CHECKS.due_at > now)
    # Whoever holds one of them looks at it right now.
    free = locked.with_for_update(skip_locked=True).scalar_subquery()
    await tx.execute(service_checks.update().where(_CHECKS.service_id.in_(free)).values(due_at=now))


async def sooner(tx: Tx, waits: Mapping[str, float]) -> None:
    """Services that shall be looked at after so many seconds, if that is earlier than they would be."""
    if not waits:
        return
    ids = sa.cast(list(waits), ARRAY(sa.Text))
    seconds = sa.cast(list(waits.values()), ARRAY(sa.Double))
    rows = sa.func.unnest(ids, seconds).table_valued("id", sa.column("seconds", sa.Double), name="waits")
    wait = rows.render_derived()
    at = sa.func.now() + wait.c.seconds * sa.text("interval '1 second'")
    await tx.execute(
        service_checks.update().where(_CHECKS.service_id == wait.c.id, _CHECKS.due_at > at).values(due_at=at)
    )


def _after(seconds: float) -> sa.ColumnElement[Any]:
    return sa.func.now() + seconds * (0.9 + 0.2 * sa.func.random()) * sa.text("interval '1 second'")


async def load(tx: Tx, service_ids: Collection[str], default_affinity: Mapping[str, tuple[str, ...]]) -> World:
    """All that decisions about the services depend on, but for nodes, in a fixed number of queries."""
    query = sa.select(services, sa.func.now().label("now")).where(services.c.id.in_(service_ids))
    rows = (await tx.execute(query.order_by(services.c.id))).all()
    own = await of_services(tx, service_ids)
    busy = await deploying(tx, service_ids)
    past = await _past(tx, service_ids)
    good = await good_specs.of_services(tx, [row.id for row in rows if row.pinned])
    by_grid: defaultdict[str, list[Subject]] = defaultdict(list)
    for row in rows:
        wanted = service_store.row_to_service(row)
        service = good[row.id].of(wanted) if row.id in good else wanted
        case = Case(
            service=service,
            instances=tuple(own.get(row.id, ())),
            nodes=(),
            affinity=effective_affinity(service, default_affinity.get(row.grid_id, ())),
            deployed_revision=row.deployed_revision,
            pinned=row.id in good,
            busy=row.id in busy,
            past=tuple(past.get(row.id, ())),
        )
        by_grid[row.grid_id].append(Subject(case, wanted))
    return World(rows[0].now if rows else datetime.min, by_grid)


async def with_nodes(tx: Tx, grid_id: str, subjects: Sequence[Subject], nodes: Sequence[NodeView]) -> list[Subject]:
    """The subjects of one grid with its nodes, and what is recorded on them as far as it matters."""
    curious = {subject.wanted.id for subject in subjects if _looks_at_others(subject.case)}
    everything: Sequence[NodeView] = ()
    if curious:
        there = await recorded_in_grid(tx, grid_id)
        everything = tuple(node.with_recorded(*there.get(node.id, ())) for node in nodes)
    volumes = await held_volumes(tx, [subject.case.service for subject in subjects])
    found = []
    for subject in subjects:
        case = subject.case
        key = case.service.id
        views = everything if key in curious else with_own(nodes, case.service, case.instances, {})
        if case.service.mounts:
            views = tuple(node.with_volumes(volumes.get((key, node.id))) for node in views)
        found.append(replace(subject, case=replace(case, nodes=tuple(views))))
    return found


def _looks_at_others(case: Case) -> bool:
    spec = case.service.spec
    return bool(spec.ports) or names_instances(case.affinity) or attaches(spec)


async def redeploy(tx: Tx, subject: Subject, situation: str | None, *, force: bool) -> bool:
    """Queue a deploy, unless anything about the service changed since it was looked at."""
    if not await _unchanged(tx, subject):
        return False
    service_id = subject.wanted.id
    if subject.case.pinned and subject.case.service.revision == subject.case.deployed_revision:
        await deploy_store.queue_rollback(tx, service_id, situation)
        return True
    await service_store.request_deploy(tx, service_id, bump=force)
    values = {"id": new_id(), "service_id": service_id, "cause": "automatic", "situation": situation}
    await tx.execute(service_deploys.insert().values(values))
    await notify(tx, SERVICE_CHANGED, service_id)
    return True


async def set_desired(tx: Tx, subject: Subject, numbers: Collection[int], desired: DesiredState) -> bool:
    """Want some instances in a state, unless anything about the service changed since it was looked at."""
    if not numbers or not await _unchanged(tx, subject):
        return False
    where = (instances.c.service_id == subject.wanted.id, instances.c.instance_number.in_(numbers))
    await lock(tx, *where)
    await tx.execute(instances.update().where(*where).values(desired_state=desired, updated_at=sa.func.now()))
    await notify_nodes(tx, subject.wanted.id)
    await notify(tx, SERVICE_CHANGED, subject.wanted.id)
    return True


async def _unchanged(tx: Tx, subject: Subject) -> bool:
    seen = subject.wanted
    current = await service_store.find_by_id(tx, seen.id, lock=True)
    same = current is not None and (current.state, current.revision, current.deployed_at) == (
        seen.state,
        seen.revision,
        seen.deployed_at,
    )
    return same and (subject.case.busy or seen.id not in await deploying(tx, [seen.id]))


async def deploying(tx: Tx, service_ids: Collection[str]) -> set[str]:
    """Services with an unfinished deploy, of their own or of their stack."""
    table, stack = service_deploys.c, stack_deploys.c
    own = sa.select(table.service_id).where(table.service_id.in_(service_ids), table.finished_at.is_(None))
    of_stack = (
        sa.select(services.c.id)
        .join(stacks, sa.and_(stacks.c.grid_id == services.c.grid_id, stacks.c.name == services.c.stack))
        .join(stack_deploys, stack.stack_id == stacks.c.id)
        .where(services.c.id.in_(service_ids), stack.finished_at.is_(None))
        .where(stack.created_at > sa.func.now() - _STACK_WINDOW)
    )
    return set((await tx.execute(sa.union(own, of_stack))).scalars())


async def _past(tx: Tx, service_ids: Collection[str]) -> dict[str, list[PastDeploy]]:
    """The newest finished deploys of each service, newest first."""
    ids = sa.func.unnest(sa.cast(list(service_ids), ARRAY(sa.Text))).table_valued("id", name="ids").render_derived()
    table = service_deploys.c
    newest = (
        sa.select(service_deploys)
        .where(table.service_id == ids.c.id, table.finished_at.is_not(None))
        .order_by(table.seq.desc())
        .limit(_PAST)
        .lateral("newest")
    )
    found: defaultdict[str, list[PastDeploy]] = defaultdict(list)
    for row in await tx.execute(
        sa.select(newest).select_from(ids.join(newest, sa.true())).order_by(newest.c.seq.desc())
    ):
        started = row.started_at is not None
        canceled = row.canceled_at is not None
        past = PastDeploy(row.state, row.cause, row.situation, started, row.finished_at, canceled)
        found[row.service_id].append(past)
    return found
