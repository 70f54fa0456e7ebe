"""A service, its deploys and its nodes in memory: applies rollout plans the way the store does."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.deploy_svc.domain.deploy_cancel import Cancellation, cancel
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.reconcile import Case, Decision, Pace, PastDeploy, Redeploy, Resume, assess
from services.deploy_svc.domain.rollout import next_step
from services.deploy_svc.domain.rollout_plan import (
    Action,
    Finish,
    Good,
    Keep,
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
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked, Cause, InstanceDeploy, Origin, ServiceDeploy
from services.deploy_svc.domain.service_spec import ServiceSpec
from tests.support import laws

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def make_service(**spec: Any) -> Service:
    built = ServiceSpec(**{"image": "app", "stateful": False, **spec})
    return Service("s1", "g1", "g", "stack", "web", built, "running", 1, None, 0, None, EPOCH, EPOCH)


def make_nodes(count: int, **fields: Any) -> list[NodeView]:
    return [NodeView(f"n{number}", f"n{number}", number, **fields) for number in range(1, count + 1)]


class Cluster:
    """The state of the world; `step` decides and applies, `report` is a node's word."""

    def __init__(self, service: Service, nodes: list[NodeView], affinity: tuple[str, ...] = ()) -> None:
        self.service = service
        self.nodes = {node.id: node for node in nodes}
        self.affinity = affinity
        self.instances: dict[int, Instance] = {}
        self.deploys: list[ServiceDeploy] = []
        self.now = EPOCH
        self.limits = Limits()
        self.chance: Callable[[int], Random] | None = None
        self.log: list[Action] = []
        self.good: Good | None = None
        self.pinned = False
        self.deployed_revision: int | None = None
        self.situations: dict[str, str | None] = {}
        # What instances were when the deploy under way came to them; None for new ones.
        self.formers: dict[int, Instance | None] = {}

    # What users and nodes do.

    def deploy(
        self,
        cause: Cause = "request",
        revision: int | None = None,
        moves: Mapping[int, str] | None = None,
        origin: Origin | None = None,
    ) -> str:
        self.now += timedelta(milliseconds=1)
        deploy_id = f"d{len(self.deploys) + 1}"
        made = ServiceDeploy(deploy_id, "s1", "created", None, None, None, self.now, None, None, None)
        self.deploys.append(replace(made, cause=cause, revision=revision, moves=moves, asked=Asked(origin)))
        return deploy_id

    def scale(self, instances: int) -> str:
        """Another number of instances, deployed; the revision stays."""
        self.change(instances=instances)
        self.service = replace(self.service, state="running")
        return self.deploy(origin="scale")

    def change(self, **spec: Any) -> None:
        self.service = replace(self.service, spec=replace(self.service.spec, **spec))

    def update(self, **spec: Any) -> None:
        """A change that makes a new revision."""
        self.change(**spec)
        self.service = replace(self.service, revision=self.service.revision + 1)

    def cancel(self) -> Cancellation | None:
        """The oldest deploy that is under way."""
        deploy = next((item for item in self.deploys if item.finished_at is None), None)
        if deploy is None:
            return None
        known = {number: former.node_id if former else "" for number, former in self.formers.items()}
        plan = cancel(deploy, list(self.instances.values()), known, "ann@example.org")
        for number in plan.back:
            former = self.formers[number]
            assert former is not None
            names = ("desired_state", "deploy_rev", "service_revision", "pod")
            self._instance(number, rev=None, error=None, **{name: getattr(former, name) for name in names})
        for number in plan.again:
            self._instance(number, desired_state="running", rev=None, error=None)
        for number in plan.dropped:
            del self.instances[number]
        for mark in plan.marks:
            self._apply(mark)
        end = {"state": "error", "reason": plan.finish.reason, "finished_at": self.now, "canceled_at": self.now}
        self._deploy(deploy.id, **end)
        coming = any(item.finished_at is None for item in self.deploys)
        state = self.service.state if self.instances or coming else "initialized"
        self.service, self.deployed_revision = replace(self.service, state=state), self.service.revision
        return plan

    def stop(self) -> None:
        self.service = replace(self.service, state="stopped")
        self.instances = {n: replace(item, desired_state="stopped") for n, item in self.instances.items()}

    def lose(self, node_id: str, seconds: float = 0.0) -> None:
        self.nodes[node_id] = replace(self.nodes[node_id], connected=False, offline_seconds=seconds)

    def regain(self, node_id: str) -> None:
        self.nodes[node_id] = replace(self.nodes[node_id], connected=True, offline_seconds=0.0)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.nodes = {
            key: node if node.connected else replace(node, offline_seconds=node.offline_seconds + seconds)
            for key, node in self.nodes.items()
        }

    def report(self, number: int, node_id: str | None = None, **observed: Any) -> None:
        """A status report: by default, that the node did what it shall. Ignored when the instance is elsewhere."""
        instance = self.instances.get(number)
        if instance is None or (node_id is not None and instance.node_id != node_id):
            return
        done = {"rev": instance.deploy_rev, "state": instance.desired_state, "container_id": f"c{number}"}
        self.instances[number] = replace(instance, **{**done, **observed})

    def obey(self) -> None:
        """All connected nodes do what they shall and say so."""
        for number, instance in self.instances.items():
            node = self.nodes.get(instance.node_id or "")
            if node is not None and node.connected and instance.rev != instance.deploy_rev:
                self.report(number)

    # What the engine does.

    def step(self) -> Plan:
        """Decide and apply; every step is held against the laws."""
        snapshot = self.snapshot()
        plan = next_step(snapshot, self.now, self.limits, self.chance)
        laws.check(snapshot, plan, self.now, self.limits)
        for action in plan.actions:
            self._apply(action)
        self.log += plan.actions
        return plan

    def run(self, most: int = 500) -> None:
        """Step and obey until every deploy ended."""
        for _ in range(most):
            self.step()
            if all(deploy.finished_at for deploy in self.deploys):
                return
            self.obey()
            self.pass_time(1)
        raise AssertionError("a deploy did not end")

    def snapshot(self) -> Snapshot:
        unfinished = tuple(deploy for deploy in self.deploys if deploy.finished_at is None)
        known = [deploy.deploy_rev for deploy in self.deploys] + [own.deploy_rev for own in self.instances.values()]
        revs = [rev for rev in known if rev]
        own = tuple(self.instances[number] for number in sorted(self.instances))
        back = bool(unfinished) and unfinished[0].cause == "rollback"
        service = self.good.of(self.service) if back and self.good else self.service
        return Snapshot(
            service, unfinished, own, tuple(self.nodes.values()), self.affinity, max(revs, default=None), self.good
        )

    def case(self) -> Case:
        """What the reconcile loop would look at."""
        nodes = []
        for node in self.nodes.values():
            ports = frozenset(port.node_port for port in self.service.spec.ports)
            own = [
                Recorded("s1", "stack/web", number, ports)
                for number, instance in self.instances.items()
                if instance.node_id == node.id
            ]
            nodes.append(node.with_recorded(*own))
        past = [
            PastDeploy(
                item.state,
                item.cause,
                self.situations.get(item.id),
                item.started_at is not None,
                item.finished_at,
                item.canceled_at is not None,
            )
            for item in reversed(self.deploys)
            if item.finished_at is not None
        ]
        return Case(
            service=self.good.of(self.service) if self.pinned and self.good else self.service,
            instances=tuple(self.instances[number] for number in sorted(self.instances)),
            nodes=tuple(nodes),
            affinity=self.affinity,
            deployed_revision=self.deployed_revision,
            pinned=self.pinned,
            busy=any(item.finished_at is None for item in self.deploys),
            past=tuple(past),
        )

    def reconcile(self, pace: Pace | None = None) -> Decision:
        """Look at the service and do what the decision says."""
        decision = assess(self.case(), self.now, pace)
        match decision:
            case Redeploy(_, situation, force):
                if force:
                    self.service = replace(self.service, revision=self.service.revision + 1)
                if self.pinned and self.service.revision == self.deployed_revision:
                    key = self._queue_rollback()
                else:
                    key = self.deploy("automatic")
                self.situations[key] = situation
            case Resume(stop, start):
                for number in stop:
                    self._instance(number, desired_state="stopped")
                for number in start:
                    self._instance(number, desired_state="running")
        return decision

    def _queue_rollback(self) -> str:
        self.service = replace(self.service, revision=self.service.revision + 2)
        self.deployed_revision, self.pinned = self.service.revision, True
        return self.deploy("rollback", self.service.revision - 1)

    def result(self, deploy_id: str) -> ServiceDeploy:
        return next(deploy for deploy in self.deploys if deploy.id == deploy_id)

    def placed(self) -> dict[int, str | None]:
        return {number: self.instances[number].node_id for number in sorted(self.instances)}

    def _apply(self, action: Action) -> None:
        match action:
            case Start(deploy_id, rev, total, surplus):
                self._deploy(deploy_id, state="ongoing", deploy_rev=rev, total=total, started_at=self.now)
                self._start(deploy_id, surplus)
            case Place(deploy_id, number, position, node_id, node):
                placed = self.result(deploy_id).instance_deploys
                assert position == len(placed)
                assert number not in {item.instance_number for item in placed}
                new = InstanceDeploy(number, node_id, node, "ongoing", None, self.now)
                self._deploy(deploy_id, instance_deploys=(*placed, new))
                self.formers[number] = None
            case Keep(deploy_id, number, position, node_id, node):
                placed = self.result(deploy_id).instance_deploys
                assert position == len(placed)
                assert number not in {item.instance_number for item in placed}
                new = InstanceDeploy(number, node_id, node, "success", None, self.now)
                self._deploy(deploy_id, instance_deploys=(*placed, new))
            case Unplaced(deploy_id, number, position, error):
                placed = self.result(deploy_id).instance_deploys
                assert position == len(placed)
                new = InstanceDeploy(number, "", "", "error", error, self.now)
                self._deploy(deploy_id, instance_deploys=(*placed, new))
            case StopOnOldNode(number, rev):
                self._instance(number, desired_state="stopped", deploy_rev=rev, rev=None, error=None)
            case Run():
                self._run(action)
            case MarkInstance(deploy_id, number, state, error):
                self._instance_deploy(deploy_id, number, state=state, error=error)
            case Finish(deploy_id, state, reason):
                self._finish(deploy_id, state=state, reason=reason, finished_at=self.now)
            case RollBack():
                self._queue_rollback()

    def _start(self, deploy_id: str, surplus: tuple[int, ...]) -> None:
        self.service = replace(self.service, deployed_at=self.now)
        if self.result(deploy_id).cause != "rollback":
            self.deployed_revision, self.pinned = self.service.revision, False
        self.formers = {}
        for number in surplus:
            del self.instances[number]

    def _finish(self, deploy_id: str, **final: Any) -> None:
        assert self.result(deploy_id).finished_at is None
        self._deploy(deploy_id, **final)
        if final["state"] == "success":
            self._remember(self.result(deploy_id).cause)

    def _remember(self, cause: Cause) -> None:
        for number, instance in self.instances.items():
            self._instance(number, good_container_id=instance.container_id)
        if cause != "rollback" and self.service.revision == self.deployed_revision:
            self.good = Good(self.service.revision, self.service.spec)

    def _run(self, run: Run) -> None:
        self.formers[run.instance_number] = self.instances.get(run.instance_number)
        if run.instance_number not in self.instances:
            self.instances[run.instance_number] = Instance(
                f"i{run.instance_number}", "s1", run.instance_number, None, "initialized", None, 1, 0, None,
                "initialized", None, None, None, None, self.now, self.now,
            )  # fmt: skip
        self._instance(
            run.instance_number,
            node_id=run.node_id,
            desired_state="running",
            deploy_rev=run.deploy_rev,
            service_revision=run.service_revision,
            pod=run.pod,
            rev=None,
            error=None,
        )
        self._instance_deploy(run.deploy_id, run.instance_number, started_at=self.now)

    def _deploy(self, deploy_id: str, **changes: Any) -> None:
        self.deploys = [replace(item, **changes) if item.id == deploy_id else item for item in self.deploys]

    def _instance(self, number: int, **changes: Any) -> None:
        self.instances[number] = replace(self.instances[number], **changes)

    def _instance_deploy(self, deploy_id: str, number: int, **changes: Any) -> None:
        rollouts = tuple(
            replace(item, **changes) if item.instance_number == number else item
            for item in self.result(deploy_id).instance_deploys
        )
        self._deploy(deploy_id, instance_deploys=rollouts)
