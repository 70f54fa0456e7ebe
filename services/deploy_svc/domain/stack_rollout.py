"""How the deploy of a stack proceeds, and its removal: pure steps (spec/orchestration.md sections 3.3 and 3.5).

A step may be repeated at any time by any replica: everything it needs to know is in the snapshot.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.stack_changes import removal_order


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: for one service of a deploy, for the orderly stop of a whole stack, and between two looks."""

    service: float = 600.0
    stop: float = 60.0
    recheck: float = 5.0


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
    """An unfinished deploy. `existing` are ids of services that are there, `linkers` who links to those to remove."""

    steps: tuple[Step, ...]
    existing: Collection[str]
    linkers: Mapping[str, Sequence[str]] = field(default_factory=dict)


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
    """What the deploy needs now: one service after the other, the first failure ends it, removals come last."""
    limits = limits or Limits()
    actions: list[Action] = []
    until = now + timedelta(seconds=limits.recheck)
    for step in snapshot.steps:
        if step.done:
            continue
        action = _remove(step, snapshot) if step.action == "remove" else _deploy(step, snapshot, now, limits)
        if action is not None:
            actions.append(action)
        if action is None or isinstance(action, Begin | Finish):
            return Plan(tuple(actions), until)
    return Plan((*actions, Finish("success")), until)


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


def _remove(step: Step, snapshot: Snapshot) -> Action:
    if step.service_id not in snapshot.existing:
        return Done(step)
    if linkers := snapshot.linkers.get(step.service_id):
        return Finish("error", f"Service {step.service} cannot be removed: it is linked to: {', '.join(linkers)}")
    return Remove(step)


@dataclass(frozen=True, slots=True)
class Removal:
    """What is left of a stack that is being removed; `instances` by service id, `connected` are node ids."""

    removed_at: datetime
    services: tuple[Service, ...]
    instances: Mapping[str, Sequence[Instance]]
    connected: Collection[str]


def next_removal(removal: Removal, now: datetime, limits: Limits | None = None) -> tuple[Service | None, bool]:
    """The service to take care of next, and whether it can be deleted already; (None, True) when none is left.

    Dependents first: what a service links to runs until the service itself stopped, or had its time to.
    """
    limits = limits or Limits()
    ordered = removal_order(removal.services)
    if not ordered:
        return None, True
    service = ordered[0]
    overdue = (now - removal.removed_at).total_seconds() >= limits.stop
    running = any(
        item.state == "running" and item.node_id in removal.connected for item in removal.instances.get(service.id, ())
    )
    return service, service.state == "stopped" and (overdue or not running)
