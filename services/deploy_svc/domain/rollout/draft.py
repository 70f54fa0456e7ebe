"""What one step knows, and what it has decided so far."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from services.deploy_svc.domain.instance_numbers import filled
from services.deploy_svc.domain.rollout_plan import Action, Finish, Keep, Limits, MarkInstance, Plan, RollBack, Snapshot
from services.deploy_svc.domain.scheduling.own_records import with_own
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service_deploy import InstanceDeploy

# Scripts look for these words, whatever follows.
_KIND = "GridServiceInstanceDeployer"
SERVICE_ERROR, STATE_ERROR = f"{_KIND}::ServiceError", f"{_KIND}::StateError"
NODE_MISSING, TIMEOUT = f"{_KIND}::NodeMissingError", "Timeout::Error"


class Draft:
    """Of the plan for the oldest deploy. `deploy`, `instances` and `rollouts` (by number) are as they will be after the
    `actions`; `waiting` says whether another deploy of the service is queued; `until` is when to look again."""

    def __init__(self, snapshot: Snapshot, now: datetime, limits: Limits) -> None:
        self.service = snapshot.service
        self.deploy = snapshot.deploys[0]
        self.waiting = len(snapshot.deploys) > 1
        self.last_rev = snapshot.last_rev
        self.good = snapshot.good
        self.now = now
        self.limits = limits
        self.instances = {item.instance_number: item for item in snapshot.instances}
        self.nodes = {node.id: node for node in snapshot.nodes}
        self.rollouts = {item.instance_number: item for item in self.deploy.instance_deploys}
        self.actions: list[Action] = []
        self._numbers: Sequence[int] = ()
        self.until = now + timedelta(seconds=limits.recheck)
        self.scheduler = Scheduler(snapshot.service, (), snapshot.affinity, snapshot.memory_need, departed=False)

    @property
    def deploy_rev(self) -> str:
        """Of the deploy, empty before it has begun."""
        return self.deploy.deploy_rev or ""

    @property
    def total(self) -> int:
        """How many instances the deploy is about."""
        return self.deploy.total or 0

    def numbers(self) -> Sequence[int]:
        """The instances that the deploy is about, since it dropped those that are too many. However many of them exist
        already, they are the same ones."""
        if len(self._numbers) != self.total:
            self._numbers = filled(self.instances.keys(), self.total)
        return self._numbers

    def ongoing(self) -> list[InstanceDeploy]:
        """Rollouts of the instances in transition."""
        return [item for item in self.rollouts.values() if item.state == "ongoing"]

    def complete(self) -> bool:
        """Whether all instances are there."""
        done = all(item.state == "success" for item in self.rollouts.values())
        return done and len(self.rollouts) >= self.total

    def keep(self, number: int, node: NodeView) -> None:
        """The instance stays as it is on this node, and its rollout is done."""
        self.actions.append(Keep(self.deploy.id, number, len(self.rollouts), node.id, node.name))
        self.rollouts[number] = InstanceDeploy(number, node.id, node.name, "success", None, self.now)
        self.scheduler.scheduled[number] = node.id

    def mark(self, rollout: InstanceDeploy, error: str | None) -> None:
        """The rollout of an instance ended."""
        state: Literal["success", "error"] = "success" if error is None else "error"
        self.actions.append(MarkInstance(self.deploy.id, rollout.instance_number, state, error))
        self.rollouts[rollout.instance_number] = replace(rollout, state=state, error=error)

    def prepare_scheduler(self) -> None:
        """Show the scheduler the own instances where they are and where they are going."""
        going = {item.instance_number: item.node_id for item in self.ongoing()}
        nodes = tuple(self.nodes.values())
        self.scheduler.show(with_own(nodes, self.service, self.instances.values(), going))
        self.scheduler.scheduled = {item.instance_number: item.node_id for item in self.rollouts.values()}

    def look_again(self, seconds: float) -> None:
        """After this time at the latest."""
        self.until = min(self.until, self.now + timedelta(seconds=seconds))

    def plan(self) -> Plan:
        """What was decided."""
        finished = any(isinstance(action, Finish) for action in self.actions)
        more = self.waiting or any(isinstance(action, RollBack) for action in self.actions)
        return Plan(tuple(self.actions), self.now if finished and more else self.until)
