"""Whether a service needs a deploy that nobody asked for (docs/spec/orchestration.md section 4): pure, one at a time.

Any replica may ask at any time: all that the answer depends on is in the case.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Cause, DeployState

_ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class PastDeploy:
    """A finished deploy of the service; `started` is False for one that was aborted before it began. `canceled`:
    what it had not done yet is not wanted, until somebody asks for a deploy again."""

    state: DeployState
    cause: Cause
    situation: str | None
    started: bool
    finished_at: datetime
    canceled: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A service as it is. `service` and `affinity` are as its last rollback left them when it is `pinned`.

    `nodes` are all nodes of the grid, with the instances of all services. `past` are finished deploys, newest first.
    `busy` says that a deploy of the service, or of its stack, is under way. `memory_need` is as for a rollout.
    """

    service: Service
    instances: tuple[Instance, ...]
    nodes: tuple[NodeView, ...]
    affinity: tuple[str, ...] = ()
    deployed_revision: int | None = None
    pinned: bool = False
    busy: bool = False
    past: tuple[PastDeploy, ...] = ()
    memory_need: float = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `grace` is a factor of the grace periods of the strategies."""

    grace: float = 1.0
    first_retry: float = 60.0
    longest_retry: float = 1800.0
    shortest: float = 20.0


@dataclass(frozen=True, slots=True)
class Redeploy:
    """Deploy it. `force` makes its containers anew; `situation` tells what was seen, None when that does not matter."""

    why: str
    situation: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """Instances to stop, as their node is drained, and instances to start again, as it is not any more."""

    stop: tuple[int, ...] = ()
    start: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before so many seconds have passed; None when only a change can make a difference."""

    seconds: float | None = None


Decision = Redeploy | Resume | Wait


def assess(case: Case, now: datetime, pace: Pace | None = None) -> Decision:
    """What the service needs now. The first rule that applies decides; without a cause nothing is moved."""
    pace = pace or Pace()
    if case.service.state != "running":
        return Wait()
    drained = _drained(case)
    if drained.stop or drained.start:
        return drained
    if case.service.spec.stateful or case.busy or not any(node.connected for node in case.nodes):
        return Wait()
    if case.deployed_revision is not None and case.service.revision > case.deployed_revision:
        return Redeploy(f"revision {case.service.revision} is not deployed yet")
    nodes, soonest = _with_grace(case, pace)
    situation = fingerprint(case, nodes)
    wrong = _wrong(case, nodes)
    if wrong is not None:
        left = _retry_in(case.past, situation, now, pace)
        if _tried(case.past) and not _helps(case, nodes):
            # Why is known. What it waits for wakes it; the long pause is for what the dry run cannot know.
            left = max(left, pace.longest_retry - (now - case.past[0].finished_at).total_seconds())
        return Redeploy(wrong, situation) if left <= 0 else Wait(left)
    return _interval(case, now, soonest, pace)


def fingerprint(case: Case, nodes: Iterable[NodeView]) -> str:
    """Tells situations apart in which a deploy that failed before may succeed."""
    seen = sorted((node.id, node.availability, node.labels) for node in nodes if node.connected)
    facts = (case.service.revision, case.service.spec.instances, case.affinity, seen)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _drained(case: Case) -> Resume:
    """Data does not move, so stateful instances stop with their node and come back with it.

    An instance of any service that was stopped for a move which failed is started again as well.
    """
    nodes = {node.id: node for node in case.nodes}
    stop, start = [], []
    for instance in case.instances:
        node = nodes.get(instance.node_id or "")
        if node is None:
            continue
        if node.availability != _ACTIVE and case.service.spec.stateful and instance.desired_state == "running":
            stop.append(instance.instance_number)
        elif node.availability == _ACTIVE and instance.desired_state == "stopped" and not case.busy:
            start.append(instance.instance_number)
    return Resume(tuple(stop), tuple(start))


def _with_grace(case: Case, pace: Pace) -> tuple[list[NodeView], float | None]:
    """The nodes, those with instances that were lost only a moment ago as if they were not; the shortest time left."""
    grace = Scheduler(case.service, ()).strategy.grace_seconds * pace.grace
    homes = {instance.node_id for instance in case.instances}
    late = [node for node in case.nodes if not node.connected and node.id in homes and node.offline_seconds < grace]
    ids = {node.id for node in late}
    soonest = min((grace - node.offline_seconds for node in late), default=None)
    return [replace(node, connected=True) if node.id in ids else node for node in case.nodes], soonest


def _wrong(case: Case, nodes: Sequence[NodeView]) -> str | None:
    """What is wrong with where the instances are; None when a deploy would change nothing for the better."""
    placed = {item.instance_number: item.node_id for item in case.instances if item.node_id is not None}
    names = {node.id: node.name for node in nodes}
    if not set(placed.values()) <= set(names):
        # The node is new and not known here yet, or was removed, which takes the instance off it soon.
        return None
    scheduler = Scheduler(case.service, nodes, case.affinity, case.memory_need)
    held = bool(case.past) and case.past[0].canceled
    wanted = sorted(item.instance_number for item in case.instances) if held else scheduler.numbers()
    if set(placed) != set(wanted) or len(case.instances) != len(wanted):
        return f"{len(placed)} instances are placed, {len(wanted)} are wanted"
    for number, node_id in sorted(placed.items()):
        if not scheduler.permits(number, node_id):
            return f"instance {number} must leave node {names[node_id]}"
    if held:
        return None
    chosen = set()
    for number in wanted:
        # An instance that fits nowhere is no reason by itself to deploy again.
        with suppress(CannotPlace):
            node = scheduler.schedule(number)
            chosen.add(node.id)
            scheduler.reserve(node.id, number)
    if chosen == set(placed.values()):
        return None
    gained = sorted(names[node_id] for node_id in chosen - set(placed.values()))
    lost = sorted(names[node_id] for node_id in set(placed.values()) - chosen)
    return "; ".join(text for text in (_list("nodes to use", gained), _list("nodes to leave", lost)) if text)


def _tried(past: Sequence[PastDeploy]) -> bool:
    """Whether the newest deploy failed after it began."""
    return bool(past) and past[0].state == "error" and past[0].started and not past[0].canceled


def _helps(case: Case, nodes: Sequence[NodeView]) -> bool:
    """Whether a deploy could place all instances."""
    scheduler = Scheduler(case.service, nodes, case.affinity, case.memory_need)
    wanted = scheduler.numbers()
    try:
        for number in wanted:
            scheduler.reserve(scheduler.schedule(number).id, number)
    except CannotPlace:
        return False
    return len(wanted) > 0


def _list(what: str, names: Sequence[str]) -> str:
    return f"{what}: {', '.join(names)}" if names else ""


def _retry_in(past: Sequence[PastDeploy], situation: str, now: datetime, pace: Pace) -> float:
    """Seconds until a deploy may be tried (again): longer each time that it failed, or changed nothing."""
    begun = [deploy for deploy in past if deploy.started and not deploy.canceled]
    if not begun:
        return 0.0
    strikes = 0
    for deploy in begun:
        if deploy.state != "error" and deploy.situation != situation:
            break
        strikes += 1
    if strikes == 0:
        return 0.0
    pause = min(pace.first_retry * 2.0 ** (strikes - 1), pace.longest_retry)
    if begun[0].situation is not None and begun[0].situation != situation:
        # What it failed for may be over.
        pause = min(pause, pace.shortest)
    return pause - (now - begun[0].finished_at).total_seconds()


def _interval(case: Case, now: datetime, soonest: float | None, pace: Pace) -> Decision:
    """Deploy anew what the service wants to be renewed; else wait for the end of a grace, if there is one."""
    interval = case.service.spec.deploy_opts.interval
    if not interval or case.pinned:
        return Wait(soonest)
    last = case.service.deployed_at
    left = 0.0 if last is None else (last + timedelta(seconds=interval) - now).total_seconds()
    left = max(left, _interval_retry(case.past, now, pace))
    if left <= 0:
        return Redeploy(f"{interval} seconds have passed since the last deploy", force=True)
    return Wait(left if soonest is None else min(left, soonest))


def _interval_retry(past: Sequence[PastDeploy], now: datetime, pace: Pace) -> float:
    """A failed renewal is tried again after a while only, however short the interval is."""
    if not past or past[0].state != "error":
        return 0.0
    return pace.first_retry - (now - past[0].finished_at).total_seconds()
