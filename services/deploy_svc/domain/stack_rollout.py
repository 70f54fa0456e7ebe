"""How the deploy of a stack proceeds, and its removal: pure steps (docs/spec/orchestration.md sections 3.3 and 3.5).

A step may be repeated at any time by any replica: everything it needs to know is in the snapshot.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.filters.dependency import attaches
from services.deploy_svc.domain.service import Service


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: for one service of a deploy, for the orderly stop of a whole stack, and between two looks. `at_once` is
    how many services of a stack are deployed side by side."""

    service: float = 600.0
    stop: float = 60.0
    recheck: float = 5.0
    at_once: int = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far the deploy of a service is."""

    state: str
    reason: str | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A service to deploy or to remove. `outcome` is None before its deploy was requested, and when that is gone."""

    position: int
    action: Literal["deploy", "remove"]
    service_id: str
    service: str
    service_deploy_id: str | None
    started_at: datetime | None
    done: bool
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An unfinished deploy. `existing` are ids of services that are there, `linkers` who links to those to remove,
    `after` which services of the deploy come before one of it (ids)."""

    steps: tuple[Step, ...]
    existing: Collection[str]
    linkers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    after: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begin:
    """Request the deploy of the service."""

    step: Step


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete the service."""

    step: Step


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do about this step."""

    step: Step


@dataclass(frozen=True, slots=True)
class Finish:
    """The deploy of the stack ended."""

    state: Literal["success", "error"]
    reason: str | None = None


Action = Begin | Remove | Done | Finish


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and when to look again if nothing happens before."""

    actions: tuple[Action, ...]
    until: datetime


def next_step(snapshot: Snapshot, now: datetime, limits: Limits | None = None) -> Plan:
    """What the deploy needs now. Services that wait for no other begin side by side; after a failure nothing begins any
    more, and the deploy ends when what is under way has ended. Removals come last."""
    limits = limits or Limits()
    until = now + timedelta(seconds=limits.recheck)
    deploys = [step for step in snapshot.steps if step.action == "deploy"]
    todo = [(step, _deploy(step, snapshot, now, limits)) for step in deploys if not step.done]
    done = [action for _step, action in todo if isinstance(action, Done)]
    failures = [action for _step, action in todo if isinstance(action, Finish)]
    waiting = [step for step, action in todo if action is None]
    if failures:
        return Plan((*done, *(failures[:1] if not waiting else ())), until)
    ready = {step.service_id for step in deploys if step.done} | {action.step.service_id for action in done}
    missing = {step.service_id for step in deploys} - ready
    begin = [action for _step, action in todo if isinstance(action, Begin)]
    free = [action for action in begin if not missing & set(snapshot.after.get(action.step.service_id, ()))]
    if missing:
        return Plan((*done, *free[: max(0, limits.at_once - len(waiting))]), until)
    removals = [_remove(step, snapshot) for step in snapshot.steps if step.action == "remove" and not step.done]
    refused = [action for action in removals if isinstance(action, Finish)]
    return Plan((*done, *(refused[:1] or (*removals, Finish("success")))), until)


def dependencies(services: Sequence[Service], order: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Which services come before each of these `services` of a stack (ids). `order` has the ids by name of all that are
    deployed with them, in an order that respects links.

    Those it links to; all before it when it looks at what else runs on a node, as it finds nothing there otherwise.
    """
    found: dict[str, frozenset[str]] = {}
    ids = tuple(order.values())
    for service in services:
        spec = service.spec
        if attaches(spec) or names_instances(spec.affinity):
            found[service.id] = frozenset(ids[: ids.index(service.id)])
        else:
            linked = {link.service for link in spec.links if link.stack == service.stack}
            found[service.id] = frozenset(order[name] for name in linked if name in order) - {service.id}
    return found


def _deploy(step: Step, snapshot: Snapshot, now: datetime, limits: Limits) -> Action | None:
    """None while there is nothing to do but wait."""
    if step.service_id not in snapshot.existing:
        return Finish("error", f"Service {step.service} was removed during the deploy")
    if step.service_deploy_id is None:
        return Begin(step)
    if step.outcome is None:
        return Finish("error", f"The deploy of service {step.service} was removed")
    if step.outcome.finished:
        if step.outcome.state == "success":
            return Done(step)
        return Finish("error", f"Service {step.service}: {step.outcome.reason or 'its deploy failed'}")
    if step.started_at is not None and (now - step.started_at).total_seconds() >= limits.service:
        return Finish("error", f"Service {step.service}: not deployed within {limits.service:.0f} seconds")
    return None


def cannot_remove(service: str, linkers: Sequence[str]) -> str:
    """Why the deploy of a stack ends in an error when services of other stacks link to one that is to go."""
    names = ", ".join(linkers)
    return f"deploy failed: Cannot delete service that is linked to another service: {service} is linked to by {names}"


def canceled(steps: Sequence[Step], who: str) -> Finish:
    """The end of a deploy that is canceled, with what became of each service."""
    deploys = [step for step in steps if step.action == "deploy"]
    over = [step for step in deploys if step.outcome is not None and step.outcome.finished]
    told = [
        ("deployed already", [step for step in over if step.outcome and step.outcome.state == "success"]),
        ("failed", [step for step in over if step.outcome and step.outcome.state == "error"]),
        ("canceled", [step for step in deploys if step.service_deploy_id and step not in over]),
        ("not begun", [step for step in deploys if step.service_deploy_id is None]),
        ("not removed", [step for step in steps if step.action == "remove" and not step.done]),
    ]
    parts = [f"{', '.join(step.service for step in found)} {what}" for what, found in told if found]
    return Finish("error", f"Canceled by {who}. Services: {'; '.join(parts)}")


def _remove(step: Step, snapshot: Snapshot) -> Action:
    if step.service_id not in snapshot.existing:
        return Done(step)
    if linkers := snapshot.linkers.get(step.service_id):
        return Finish("error", cannot_remove(step.service, linkers))
    return Remove(step)


@dataclass(frozen=True, slots=True)
class Removal:
    """What is left of a stack that is being removed; `instances` by service id, `connected` are node ids."""

    removed_at: datetime
    services: tuple[Service, ...]
    instances: Mapping[str, Sequence[Instance]]
    connected: Collection[str]


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """Services to stop and services to delete now, and whether the stack itself can go."""

    stop: tuple[Service, ...] = ()
    delete: tuple[Service, ...] = ()
    over: bool = False


def next_removal(removal: Removal, now: datetime, limits: Limits | None = None) -> RemovalPlan:
    """What to take care of next.

    Dependents first: what a service links to runs until the service itself stopped, or had its time to. Services that
    nothing links to any more go side by side.
    """
    limits = limits or Limits()
    if not removal.services:
        return RemovalPlan(over=True)
    needed = {
        link.service
        for service in removal.services
        for link in service.spec.links
        if link.stack == service.stack and link.service != service.name
    }
    # In a circle nobody comes first.
    free = [service for service in removal.services if service.name not in needed] or list(removal.services)
    overdue = (now - removal.removed_at).total_seconds() >= limits.stop
    stopped = [service for service in free if service.state == "stopped"]
    return RemovalPlan(
        stop=tuple(service for service in free if service.state != "stopped"),
        delete=tuple(service for service in stopped if overdue or not _runs(removal, service)),
    )


def _runs(removal: Removal, service: Service) -> bool:
    instances = removal.instances.get(service.id, ())
    return any(item.state == "running" and item.node_id in removal.connected for item in instances)
