"""How a deploy proceeds: one pure step from what is to what shall be done (docs/spec/orchestration.md section 2).

A step may be repeated at any time by any replica: everything it needs to know is in the snapshot.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from services.deploy_svc.domain import pod
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout_plan import (
    Action,
    Finish,
    Limits,
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
from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.own_records import with_own
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import HOLLOW, NodeView
from services.deploy_svc.domain.service_deploy import InstanceDeploy

MOST_IN_FLIGHT = 20
# What one step writes is bounded.
MOST_NEW_IN_FLIGHT = 100
_DEFAULT_MIN_HEALTH = 0.8

# Random source for an instance number, the same one whichever replica asks; None breaks ties by node number.
Chance = Callable[[int], Random] | None

# Scripts look for these words, whatever follows.
_KIND = "GridServiceInstanceDeployer"
_SERVICE, _STATE = f"{_KIND}::ServiceError", f"{_KIND}::StateError"
_NODE, _TIMEOUT = f"{_KIND}::NodeMissingError", "Timeout::Error"


def next_step(snapshot: Snapshot, now: datetime, limits: Limits | None = None, chance: Chance = None) -> Plan:
    """What the oldest unfinished deploy of the service needs now. Later ones wait for it."""
    limits = limits or Limits()
    if not snapshot.deploys:
        return Plan((), now + timedelta(seconds=limits.recheck))
    return _Step(snapshot, now, limits, chance).plan()


def in_flight_limit(total: int, min_health: float | None) -> int:
    """How many instances may be in transition at once. The order of the floating point operations is part of it."""
    health = _DEFAULT_MIN_HEALTH if min_health is None else min_health
    return max(1, min(math.floor(total * (1.0 - health)), MOST_IN_FLIGHT))


def new_rev(now: datetime, last: str | None) -> str:
    """A deploy_rev: fixed-width UTC text, greater than `last` even when the clock went back."""
    rev = _rev(now)
    if last is not None and rev <= last:
        rev = _rev(datetime.strptime(last, _REV_FORMAT) + timedelta(microseconds=1))
    return rev


_REV_FORMAT = "%Y-%m-%d %H:%M:%S.%f UTC"


def _rev(time: datetime) -> str:
    return time.strftime(_REV_FORMAT)


class _Step:
    """One step of the oldest deploy; collects actions while it goes."""

    def __init__(self, snapshot: Snapshot, now: datetime, limits: Limits, chance: Chance) -> None:
        self._service = snapshot.service
        self._deploy = snapshot.deploys[0]
        self._waiting = len(snapshot.deploys) > 1
        self._last_rev = snapshot.last_rev
        self._good = snapshot.good
        self._now = now
        self._limits = limits
        self._chance = chance
        self._instances = {item.instance_number: item for item in snapshot.instances}
        self._nodes = {node.id: node for node in snapshot.nodes}
        self._rollouts = {item.instance_number: item for item in self._deploy.instance_deploys}
        self._actions: list[Action] = []
        self._until = now + timedelta(seconds=limits.recheck)
        self._scheduler = Scheduler(snapshot.service, (), snapshot.affinity, snapshot.memory_need, departed=False)

    def plan(self) -> Plan:
        if self._deploy.started_at is None:
            if self._service.state != "running":
                self._finish(f"Aborted: the service {self._service.path} is not running")
                return self._done()
            if any(map(self._home_may_return, self._instances.values())) or not self._start():
                return self._done()
        for rollout in list(self._rollouts.values()):
            if rollout.state == "ongoing":
                self._settle(rollout)
        if self._service.state != "running" and not self._complete():
            self._abandon()
            return self._done()
        self._prepare_scheduler()
        self._advance()
        return self._done()

    def _done(self) -> Plan:
        finished = any(isinstance(action, Finish) for action in self._actions)
        more = self._waiting or any(isinstance(action, RollBack) for action in self._actions)
        return Plan(tuple(self._actions), self._now if finished and more else self._until)

    # Beginning.

    def _start(self) -> bool:
        """Fix revision and total, drop what is too many. False when the deploy ended at once, or has to wait."""
        self._prepare_scheduler()
        rev = new_rev(self._now, self._last_rev)
        total = self._scheduler.total() if self._deploy.moves is None else len(self._pending())
        hopeless = self._deploy.moves is None and total == 0 and self._service.spec.instances > 0
        if hopeless and self._may_change():
            return False
        # A deploy that cannot place anything takes nothing away either.
        keeps = hopeless or self._deploy.moves is not None
        surplus = () if keeps else tuple(sorted(number for number in self._instances if number > total))
        self._actions.append(Start(self._deploy.id, rev, total, surplus))
        self._deploy = replace(self._deploy, state="ongoing", deploy_rev=rev, total=total, started_at=self._now)
        for number in surplus:
            del self._instances[number]
        if hopeless:
            self._cannot_place(1, str(self._scheduler.why_none()))
        return not hopeless

    def _prepare_scheduler(self) -> None:
        """Show the scheduler the own instances where they are and where they are going."""
        going = {number: item.node_id for number, item in self._rollouts.items() if item.state == "ongoing"}
        nodes = tuple(self._nodes.values())
        self._scheduler.show(with_own(nodes, self._service, self._instances.values(), going))
        self._scheduler.scheduled = {item.instance_number: item.node_id for item in self._rollouts.values()}

    # Instances in transition.

    def _settle(self, rollout: InstanceDeploy) -> None:
        instance = self._instances.get(rollout.instance_number)
        if instance is None:
            self._mark(rollout, f"{_STATE}: the instance was removed")
        elif instance.node_id != rollout.node_id:
            self._settle_move(rollout, instance)
        else:
            self._settle_apply(rollout, instance)

    def _settle_move(self, rollout: InstanceDeploy, instance: Instance) -> None:
        """Go on to the new node once the old one stopped the instance, or cannot tell, or takes too long."""
        old = self._nodes.get(instance.node_id or "")
        stopped = instance.rev is not None and instance.rev >= self._deploy_rev
        if not stopped and old is not None and old.connected and not self._timed_out(rollout):
            return
        lost = self._lost(rollout)
        if lost is not None:
            self._mark(rollout, lost)
            return
        if self._nodes[rollout.node_id].connected:
            self._run(rollout)

    def _settle_apply(self, rollout: InstanceDeploy, instance: Instance) -> None:
        if instance.rev is not None and instance.rev >= self._deploy_rev:
            self._mark(rollout, self._outcome(instance))
        elif instance.deploy_rev is not None and instance.deploy_rev > self._deploy_rev:
            self._mark(rollout, f"{_STATE}: superseded by a later deploy")
        elif instance.desired_state != "running":
            if self._service.state == "running":
                self._mark(rollout, f"{_STATE}: the desired state changed to {instance.desired_state}")
        elif (lost := self._lost(rollout)) is not None:
            self._mark(rollout, lost)
        elif self._timed_out(rollout):
            self._mark(rollout, f"{_TIMEOUT}: no confirmation within {self._limits.instance:.0f} seconds")

    def _outcome(self, instance: Instance) -> str | None:
        """The error of an instance whose node reported, None when all is well."""
        if instance.error:
            return f"{_SERVICE}: {instance.error}"
        if instance.rev is not None and instance.rev > self._deploy_rev:
            return f"{_STATE}: superseded by a later deploy"
        if instance.state == "stopped":
            return f"{_STATE}: the container ended by itself right after its start; the logs of the instance tell more"
        if instance.state != "running":
            return f"{_STATE}: the instance is {instance.state}, not running"
        return None

    def _lost(self, rollout: InstanceDeploy) -> str | None:
        """Why the target node cannot finish the work; None while it can, or may come back in time."""
        node = self._nodes.get(rollout.node_id)
        if node is None:
            return f"{_NODE}: node {rollout.node} was removed"
        if node.connected:
            return None
        if node.offline_seconds >= self._limits.offline:
            return f"{_NODE}: node {rollout.node} is not connected"
        self._look_again(self._limits.offline - node.offline_seconds)
        return None

    def _home_may_return(self, instance: Instance | None) -> bool:
        return instance is not None and self._may_return(self._nodes.get(instance.node_id or ""))

    def _may_return(self, node: NodeView | None) -> bool:
        """Whether the node was lost only moments ago: it is given the time to come back before anything is decided."""
        left = node.may_return(self._limits.offline) if node is not None else 0.0
        if left > 0:
            self._look_again(left)
        return left > 0

    def _may_change(self) -> bool:
        """Whether a node may soon be seen to fit: one comes back, or what somebody changed just before the deploy was
        asked for is still on its way here."""
        left = self._limits.news - (self._now - self._deploy.created_at).total_seconds()
        if left > 0:
            self._look_again(left)
        return left > 0 or any(map(self._may_return, self._nodes.values()))

    def _timed_out(self, rollout: InstanceDeploy) -> bool:
        left = self._limits.instance - (self._now - rollout.started_at).total_seconds()
        if left > 0:
            self._look_again(left)
        return left <= 0

    def _mark(self, rollout: InstanceDeploy, error: str | None) -> None:
        state: Literal["success", "error"] = "success" if error is None else "error"
        self._actions.append(MarkInstance(self._deploy.id, rollout.instance_number, state, error))
        self._rollouts[rollout.instance_number] = replace(rollout, state=state, error=error)

    # Going on.

    def _advance(self) -> None:
        """Place as many instances as may be in transition at once; end the deploy when nothing is left to wait for."""
        total = self._deploy.total or 0
        failure = self._failure()
        while failure is None and (pending := self._pending()):
            if not self._has_room(pending[0], total if self._deploy.moves is None else len(self._instances)):
                break
            if self._home_may_return(self._instances.get(pending[0])):
                return
            refused = self._place_one(pending)
            if refused is not None:
                # What is in transition may free what is missing, and a node may come back: only then this is final.
                if not self._in_flight() and not self._may_change():
                    self._cannot_place(pending[0], str(refused))
                return
        if not self._in_flight() and (failure is not None or len(self._rollouts) >= total):
            self._finish(failure)

    def _pending(self) -> Sequence[int]:
        """The instances that may come next: the next number, or any of those that a rebalance has not moved yet."""
        if self._deploy.moves is not None:
            return [
                number for number in sorted(self._deploy.moves.keys() & self._instances) if number not in self._rollouts
            ]
        following = len(self._rollouts) + 1
        return [following] if following <= (self._deploy.total or 0) else []

    def _place_one(self, pending: Sequence[int]) -> CannotPlace | None:
        """Place the first of them that can be; why the first one cannot, when none can. What moves may have to wait for
        another one to make room."""
        first: CannotPlace | None = None
        for number in pending:
            try:
                self._place(number)
            except CannotPlace as error:
                first = first or error
            else:
                return None
        return first

    def _has_room(self, number: int, total: int) -> bool:
        """Whether the instance may begin. New ones take nothing away that runs, so they begin all at once, unless the
        order of their starts matters: they have data, or post_start hooks, and nobody said how many may begin."""
        spec = self._service.spec
        most = spec.deploy_opts.parallelism
        ordered = most is None and (spec.stateful or any(hook.type == "post_start" for hook in spec.hooks))
        ongoing = [item for item, rollout in self._rollouts.items() if rollout.state == "ongoing"]
        if len(ongoing) >= (most or MOST_NEW_IN_FLIGHT):
            return False
        if not ordered and self._is_new(number):
            return True
        missed = ongoing if ordered else [item for item in ongoing if not self._is_new(item)]
        return len(missed) < in_flight_limit(total, spec.deploy_opts.min_health)

    def _is_new(self, number: int) -> bool:
        """Whether nothing of the instance is known to run, so that nobody misses it while it starts."""
        instance = self._instances.get(number)
        return instance is None or instance.node_id is None or instance.container_id is None

    def _cannot_place(self, number: int, cause: str) -> None:
        self._actions.append(Unplaced(self._deploy.id, number, len(self._rollouts), cause))
        self._finish(cause)

    def _place(self, number: int) -> None:
        node = self._chosen(number)
        instance = self._instances.get(number)
        self._actions.append(Place(self._deploy.id, number, len(self._rollouts), node.id, node.name))
        rollout = InstanceDeploy(number, node.id, node.name, "ongoing", None, self._now)
        self._rollouts[number] = rollout
        self._scheduler.reserve(node.id, number)
        old = self._nodes.get(instance.node_id or "") if instance is not None else None
        if old is None or old.id == node.id or not old.connected:
            self._run(rollout)
        else:
            self._actions.append(StopOnOldNode(number, self._deploy_rev))
            self._timed_out(rollout)

    def _chosen(self, number: int) -> NodeView:
        if self._deploy.moves is not None:
            return self._scheduler.put(number, self._deploy.moves[number])
        return self._scheduler.schedule(number, self._chance(number) if self._chance else None)

    def _run(self, rollout: InstanceDeploy) -> None:
        number = rollout.instance_number
        built = pod.build(self._service, number, rollout.node)
        revision = self._revision_of(self._instances.get(number))
        self._actions.append(Run(self._deploy.id, number, rollout.node_id, self._deploy_rev, revision, built))
        self._look_again(self._limits.instance)

    def _revision_of(self, instance: Instance | None) -> int:
        """What decides whether the node recreates the container: only if the one it has is of a smaller revision.

        A rollback must recreate what the failed deploy changed, and leave alone what still runs as it did before.
        """
        if self._deploy.revision is None or self._good is None:
            return self._service.revision
        if instance is not None:
            settled = instance.rev is not None and instance.rev == instance.deploy_rev
            same = instance.container_id is not None and instance.container_id == instance.good_container_id
            if instance.service_revision == self._good.revision or (settled and same):
                return self._good.revision
        return self._deploy.revision

    # Ending.

    def _complete(self) -> bool:
        done = all(item.state == "success" for item in self._rollouts.values())
        return done and len(self._rollouts) >= (self._deploy.total or 0)

    def _abandon(self) -> None:
        change = f"the desired state of {self._service.path} changed to {self._service.state}"
        for rollout in list(self._rollouts.values()):
            if rollout.state == "ongoing":
                self._mark(rollout, f"{_STATE}: {change}")
        self._finish(f"Aborted: {change}")

    def _failure(self) -> str | None:
        failed = [item for item in self._rollouts.values() if item.state == "error"]
        if failed:
            first, path = failed[0], self._service.path
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            where = f" on node {first.node}" if first.node else ""
            return (
                f"halting deploy of {path}, one or more instances failed: "
                f"{path}-{first.instance_number}{where}: {first.error}{more}"
            )
        started = self._deploy.started_at or self._now
        if (self._now - started).total_seconds() >= self._limits.deploy and not self._complete():
            return f"Aborted: not finished within {self._limits.deploy / 60:.0f} minutes"
        return None

    def _finish(self, failure: str | None) -> None:
        if failure is None:
            self._actions.append(Finish(self._deploy.id, "success", self._pretended()))
            return
        back = self._way_back()
        self._actions.append(Finish(self._deploy.id, "error", f"{failure}{back}"))

    def _pretended(self) -> str | None:
        """What a success must not hide: nodes whose agent found no container engine run nothing."""
        used = {item.node_id for item in self._rollouts.values()}
        names = [node.name for node in self._nodes.values() if node.id in used and HOLLOW in node.volume_drivers]
        if not names:
            return None
        return f"Containers are only pretended: no container engine on node {', '.join(sorted(names))}"

    def _way_back(self) -> str:
        """Roll back if the service wants it and something was changed; what to add to the reason."""
        service, good = self._service, self._good
        wanted = service.spec.deploy_opts.rollback and service.state == "running" and self._rollouts
        if not wanted or self._deploy.cause == "rollback" or self._waiting:
            return ""
        if good is None:
            return "; there is no earlier success to roll back to"
        if good.of(service) == service:
            return ""
        self._actions.append(RollBack(good.revision))
        return f"; rolling back to revision {good.revision}"

    # Helpers.

    @property
    def _deploy_rev(self) -> str:
        return self._deploy.deploy_rev or ""

    def _in_flight(self) -> int:
        return sum(1 for item in self._rollouts.values() if item.state == "ongoing")

    def _look_again(self, seconds: float) -> None:
        self._until = min(self._until, self._now + timedelta(seconds=seconds))
