"""Deploys of stacks: queued by requests, carried on by the stack loop."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.stack import Stack
from services.deploy_svc.domain.stack_deploy import StackDeploy
from services.deploy_svc.domain.stack_rollout import (
    Begin,
    Done,
    Finish,
    Outcome,
    Plan,
    Removal,
    Remove,
    Snapshot,
    Step,
    dependencies,
)
from services.deploy_svc.store import instances, service_deploys, services, stack_tables, tables
from services.deploy_svc.store.given import given, of_any
from services.kernel import pages
from services.kernel.db import Tx, notify
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page

_t = stack_tables.stack_deploys
_s = stack_tables.stack_deploy_steps
_stacks = stack_tables.stacks
_services = tables.services
_deploys = tables.service_deploys


@dataclass(frozen=True, slots=True)
class Claim:
    """A deploy whose row is locked until the transaction ends; `now` is the clock of the database. `asked_by` is who
    asked for it."""

    deploy_id: str
    grid_id: str
    now: datetime
    asked_by: str | None = None


async def insert(
    tx: Tx, stack: Stack, deploy: Iterable[Service], remove: Iterable[Service], asked: Asked
) -> StackDeploy:
    """Queue a deploy of the latest revision and wake the stack loop when the transaction commits."""
    deploy_id = new_id()
    steps = [*(("deploy", service) for service in deploy), *(("remove", service) for service in remove)]
    values = {"id": deploy_id, "stack_id": stack.id, "revision": stack.revision, **service_deploys.asked_columns(asked)}
    row = (await tx.execute(_t.insert().values(values).returning(_t))).one()
    rows = [
        {
            "stack_deploy_id": deploy_id,
            "position": position,
            "action": action,
            "service_id": service.id,
            "service": service.name,
        }
        for position, (action, service) in enumerate(steps)
    ]
    await tx.execute(_s.insert().values(rows))
    await notify(tx, stack_tables.STACK_CHANGED, stack.id)
    return _deploy(row)


async def find(tx: Tx, stack_id: str, deploy_id: str) -> StackDeploy | None:
    """A deploy of the stack with the deploys of its services."""
    row = (await tx.execute(_t.select().where(_t.c.id == deploy_id, _t.c.stack_id == stack_id))).one_or_none()
    if row is None:
        return None
    begun = (
        sa.select(_s.c.service_deploy_id, _services)
        .join(_services, _services.c.id == _s.c.service_id)
        .where(_s.c.stack_deploy_id == deploy_id, _s.c.service_deploy_id.is_not(None))
        .order_by(_s.c.position)
    )
    rows = {item.service_deploy_id: services.row_to_service(item) for item in await tx.execute(begun)}
    found = await service_deploys.find_many(tx, list(rows))
    return replace(_deploy(row), service_deploys=tuple((rows[key], found[key]) for key in rows if key in found))


async def history(tx: Tx, stack_id: str, page: Page) -> Listing[StackDeploy]:
    """Deploys of the stack, newest first, without those of its services."""
    order = {"created_at": _t.c.created_at, "id": _t.c.id}
    return await pages.read(tx, _t.select().where(_t.c.stack_id == stack_id), order, page, _deploy, newest_first=True)


async def lock(tx: Tx, stack_id: str, deploy_id: str) -> tuple[StackDeploy, tuple[Step, ...]] | None:
    """A deploy of the stack with its steps. No step is taken before the transaction ends."""
    where = sa.and_(_t.c.id == deploy_id, _t.c.stack_id == stack_id)
    row = (await tx.execute(_t.select().where(where).with_for_update())).one_or_none()
    return None if row is None else (_deploy(row), await _steps(tx, deploy_id))


async def due(tx: Tx, service_ids: Collection[str] = (), limit: int = 100) -> list[str]:
    """Unfinished deploys whose time has come, or with a step to do for one of the services."""
    waits = sa.exists().where(_s.c.stack_deploy_id == _t.c.id, _s.c.service_id.in_(service_ids), sa.not_(_s.c.done))
    ready = sa.or_(_t.c.due_at <= sa.func.now(), waits) if service_ids else _t.c.due_at <= sa.func.now()
    query = sa.select(_t.c.id).where(_t.c.finished_at.is_(None), ready).order_by(_t.c.due_at).limit(limit)
    return list((await tx.execute(query)).scalars())


async def claim(tx: Tx, deploy_id: str) -> Claim | None:
    """Lock the deploy if it is unfinished and nobody else holds it."""
    query = (
        sa.select(_t.c.id, _t.c.asked_by, _stacks.c.grid_id, sa.func.now().label("now"))
        .join(_stacks, _stacks.c.id == _t.c.stack_id)
        .where(_t.c.id == deploy_id, _t.c.finished_at.is_(None))
        .with_for_update(of=_t, skip_locked=True)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Claim(row.id, row.grid_id, row.now, row.asked_by)


async def load(tx: Tx, claim: Claim) -> Snapshot:
    """All that the next step of the claimed deploy depends on."""
    rows = await _step_rows(tx, claim.deploy_id)
    linkers = {
        row.service_id: await services.linkers(tx, claim.grid_id, row.stack, row.service)
        for row in rows
        if row.action == "remove" and row.found and not row.done
    }
    steps = tuple(map(_step, rows))
    after = await _after(tx, steps)
    return Snapshot(steps, frozenset(row.found for row in rows if row.found), linkers, after)


async def _steps(tx: Tx, deploy_id: str) -> tuple[Step, ...]:
    return tuple(map(_step, await _step_rows(tx, deploy_id)))


async def _step_rows(tx: Tx, deploy_id: str) -> Sequence[Any]:
    """The steps with their services, where these exist, and the deploys of these, in order."""
    query = (
        sa.select(_s, _services.c.id.label("found"), _services.c.stack, _deploys.c.state, _deploys.c.reason)
        .add_columns(_deploys.c.id.label("deploy"), _deploys.c.finished_at)
        .select_from(
            _s.outerjoin(_services, _services.c.id == _s.c.service_id).outerjoin(
                _deploys, _deploys.c.id == _s.c.service_deploy_id
            )
        )
        .where(_s.c.stack_deploy_id == deploy_id)
        .order_by(_s.c.position)
    )
    return (await tx.execute(query)).all()


async def _after(tx: Tx, steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Which services come before those that have not begun."""
    deploys = [step for step in steps if step.action == "deploy"]
    waiting = [step.service_id for step in deploys if not (step.service_deploy_id or step.done)]
    if not waiting:
        return {}
    query = _services.select().where(of_any(_services.c.id, waiting))
    found = [services.row_to_service(row) for row in await tx.execute(query)]
    return dependencies(found, {step.service: step.service_id for step in deploys})


async def apply(tx: Tx, claim: Claim, plan: Plan) -> None:
    """Do what the plan says."""
    changed = [action.step.service_id for action in plan.actions if isinstance(action, Begin | Remove)]
    await services.lock_all(tx, changed)
    state = {"state": sa.case((_t.c.state == "created", "ongoing"), else_=_t.c.state), "due_at": plan.until}
    await tx.execute(_t.update().where(_t.c.id == claim.deploy_id).values(state))
    await _begin(tx, claim, [action.step for action in plan.actions if isinstance(action, Begin)])
    for action in plan.actions:
        match action:
            case Remove(step):
                await services.lock_for_deletion(tx, step.service_id)
                await instances.notify_nodes(tx, step.service_id)
                await services.delete(tx, step.service_id)
            case Finish():
                await end(tx, claim.deploy_id, action)
    done = [action.step.position for action in plan.actions if isinstance(action, Remove | Done)]
    if done:
        of = sa.and_(_s.c.stack_deploy_id == claim.deploy_id, of_any(_s.c.position, done))
        await tx.execute(_s.update().where(of).values(done=True))


async def _begin(tx: Tx, claim: Claim, steps: Sequence[Step]) -> None:
    """Request the deploys of their services, however many, in three statements."""
    if not steps:
        return
    ids = [step.service_id for step in steps]
    await services.request_deploy(tx, *ids, bump=False)
    begun = await service_deploys.insert_many(tx, ids, Asked("stack", claim.asked_by, claim.deploy_id))
    rows = ((step.position, begun[step.service_id]) for step in steps)
    of = given("begun", (_s.c.position, _s.c.service_deploy_id), rows)
    await tx.execute(
        _s.update()
        .where(_s.c.stack_deploy_id == claim.deploy_id, _s.c.position == of.c.position)
        .values(service_deploy_id=of.c.service_deploy_id, started_at=sa.func.clock_timestamp())
    )


async def abort(tx: Tx, stack_id: str, reason: str) -> None:
    """End every unfinished deploy of the stack. Call it before the services of the stack are locked, as the steps of a
    deploy lock its row first."""
    open_ones = sa.and_(_t.c.stack_id == stack_id, _t.c.finished_at.is_(None))
    ids = (await tx.execute(sa.select(_t.c.id).where(open_ones).order_by(_t.c.id).with_for_update())).scalars()
    for deploy_id in ids:
        await end(tx, deploy_id, Finish("error", reason))


async def end(tx: Tx, deploy_id: str, finish: Finish, *, canceled: bool = False) -> None:
    """Write the final state; a deploy that ended already stays as it is."""
    now = sa.func.clock_timestamp()
    await tx.execute(
        _t.update()
        .where(_t.c.id == deploy_id, _t.c.finished_at.is_(None))
        .values(state=finish.state, reason=finish.reason, finished_at=now, canceled_at=now if canceled else None)
    )


# Removal of stacks.


async def removals(tx: Tx, limit: int = 100) -> dict[str, bool]:
    """Stacks to be removed, and whether it is time to go on, longest waiting first."""
    query = sa.select(_stacks.c.id, _stacks.c.due_at <= sa.func.now()).where(_stacks.c.removed_at.is_not(None))
    return {row[0]: row[1] for row in await tx.execute(query.order_by(_stacks.c.due_at).limit(limit))}


async def claim_removal(tx: Tx, stack_id: str, connected: Collection[str]) -> tuple[Removal, datetime] | None:
    """Lock the stack if it is to be removed and nobody else holds it; with the time of the database."""
    query = (
        sa.select(_stacks, sa.func.now().label("now"))
        .where(_stacks.c.id == stack_id, _stacks.c.removed_at.is_not(None))
        .with_for_update(skip_locked=True)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    found = await services.of_grid(tx, row.grid_id, row.name)
    own: defaultdict[str, list[Instance]] = defaultdict(list)
    table = tables.instances
    for item in await tx.execute(table.select().where(table.c.service_id.in_([service.id for service in found]))):
        own[item.service_id].append(instances.row_to_instance(item))
    by_service: Mapping[str, Sequence[Instance]] = own
    return Removal(row.removed_at, tuple(reversed(found)), by_service, connected), row.now


async def look_again(tx: Tx, stack_id: str, until: datetime) -> None:
    """The removal goes on at this time."""
    await tx.execute(_stacks.update().where(_stacks.c.id == stack_id).values(due_at=until))


async def delete_stack(tx: Tx, stack_id: str) -> None:
    """Remove a stack with its revisions and deploys."""
    await tx.execute(_stacks.delete().where(_stacks.c.id == stack_id))


def _step(row: Any) -> Step:
    outcome = Outcome(row.state, row.reason, row.finished_at is not None) if row.deploy else None
    return made_of(Step, row, outcome=outcome)


def _deploy(row: Any) -> StackDeploy:
    asked = Asked(row.origin, row.asked_by, row.origin_name)
    return made_of(StackDeploy, row, service_deploys=(), asked=asked)
