"""Keeps one instance in the state the master wants: look, decide, act, report. Serialized per instance."""

import asyncio

from agent.applying import Applying, Order
from agent.domain import decide as rules
from agent.domain.backoff import Setbacks, retry_delay
from agent.domain.decide import Action
from agent.domain.errors import (
    AgentError,
    EngineRefused,
    EngineUnreachable,
    MasterNeeded,
    Overtaken,
    SecretsNeeded,
    StartRefused,
)
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import NANO
from agent.domain.status import exit_words
from agent.handover import Handover
from agent.health import HealthMonitor, start_of
from agent.instance_status import status_of
from agent.operations import Operations
from agent.readiness import Readiness
from agent.repairs import Repairs
from agent.runtime.ports import Container, Listed
from agent.site import Severity, Site
from agent.state_documents import Record
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)


class Instance:
    """One supervised instance. `assign`, `remove` and `look` only wake it; `run` does the work."""

    def __init__(self, key: InstanceKey, site: Site) -> None:
        self.key = key
        self._site = site
        # Something else is wanted than what the turn under way brings about.
        self._overtaken = asyncio.Event()
        # The wait for the container that was found last is over, and nothing else is known to have changed.
        self._closely = False
        # Events of the engine are covered by the look that follows what is being done.
        self._acting = self._missed = False
        self._health = HealthMonitor(site.runtime, self.look)
        handover = Handover(site, self._health, self._report)
        self._operations = Operations(key, site, self._overtaken, handover)
        self._applying = Applying(self._operations)
        self._repairs = Repairs(key, site)
        self._readiness = Readiness(site.runtime.probes, site.port_wait, site.settle, self._look_closely)
        self._order: Order | None = None
        self._removing = False
        self._gone = False
        self._wake = asyncio.Event()
        self._crashes = Setbacks()
        self._illnesses = Setbacks()
        # The rollout that was looked at last: an end that is seen with it for the first time is that of a container of
        # before.
        self._seen_rev: str | None = None
        self._failures = 0
        # Nothing happens before this time of the loop's clock unless the assignment changes.
        self._not_before = 0.0

    @property
    def wants_running(self) -> bool:
        """Whether its container should be running."""
        wanted = self._order is not None and self._order.assignment.desired_state == rules.RUNNING
        return wanted and not self._removing

    @property
    def removing(self) -> bool:
        """Whether everything it has here is on its way out."""
        return self._removing

    def publishes(self, ports: frozenset[int]) -> bool:
        """Whether it holds one of these node ports; one that nobody knows much of may."""
        if self._order is None:
            return bool(ports)
        return any(port.node_port in ports for port in self._order.assignment.pod.ports)

    @property
    def instance_id(self) -> str:
        """The master's id of the instance, empty when it has none here."""
        return "" if self._order is None else self._order.assignment.instance_id

    def assign(self, assignment: pb.Assignment, *, sealed: bool = False) -> None:
        """Bring this about. Repeating an assignment does not cut a pause short."""
        old = self._order
        self._order = Order(assignment, sealed)
        if not assignment.error:
            self._site.files.learn(self.key, assignment.files, sealed=sealed)
        if old is not None and old.assignment.instance_id != assignment.instance_id:
            self._site.forget(old.assignment.instance_id)
        if self._removing or old is None or old.sealed != sealed or _differs(old.assignment, assignment):
            self._not_before = 0.0
            self._failures = 0
            self._overtaken.set()
        self._removing = False
        self.look()

    def remove(self) -> None:
        """Remove everything the instance has on this node; `run` returns when that is done."""
        self._removing = True
        self._not_before = 0.0
        self._overtaken.set()
        self.look()

    def look_if_changed(self, listed: Listed) -> None:
        """This is its container in a list of all."""
        order = self._order
        changed = listed.running != self.wants_running
        if changed or (order is not None and self.wants_running and self._repairs.needed(order.assignment, listed)):
            self.look()

    def look(self) -> None:
        """Something may have changed."""
        self._closely = False
        self._wake.set()

    def look_after_event(self) -> None:
        """The engine told of a change."""
        if self._acting:
            self._missed = True
        else:
            self.look()

    def _look_closely(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Work until the instance is removed."""
        try:
            while not self._gone:
                await self._wake.wait()
                self._wake.clear()
                await self._supervised_turn()
        finally:
            self._readiness.cancel()
            self._health.cancel()

    async def _supervised_turn(self) -> None:
        """One turn; a failure is reported and leads to another turn later."""
        order = self._order
        self._overtaken.clear()
        try:
            await self._turn(order)
        except Overtaken as error:
            log.info("instance wanted otherwise", instance=self.instance_id, cause=str(error))
        except SecretsNeeded as error:
            log.info("instance waits for the master", instance=self.instance_id, cause=str(error))
        except (EngineUnreachable, MasterNeeded) as error:
            # Nothing is known, so nothing is reported.
            self._retry_later(str(error))
        except StartRefused as error:
            # Trying again would take down what runs; the next rollout does.
            if order is not None:
                record = self._site.state.record(self.key, order.assignment.restarts)
                record.refused_rev, record.refusal = order.assignment.deploy_rev, str(error)
                self._site.state.flush()
            await self._report_failure(order, str(error))
        except AgentError as error:
            self._retry_later(str(error))
            # An engine that is going down fails in odd ways, and a reported error ends a deploy: ask once more first.
            if self._failures > 1 or not _may_pass(error):
                await self._report_failure(order, str(error))
        except Exception as error:
            log.exception("instance failed", instance=self.instance_id)
            self._retry_later(repr(error))
            await self._report_failure(order, f"the agent failed: {type(error).__name__}")
        if self._overtaken.is_set():
            # A pause that this turn began is not for what is wanted now.
            self._not_before, self._failures = 0.0, 0

    def _retry_later(self, cause: str) -> None:
        self._failures += 1
        pause = retry_delay(self._failures)
        log.warning("instance not in its desired state", instance=self.instance_id, cause=cause[:500], retry_in=pause)
        self._pause(pause)

    def _pause(self, seconds: float) -> None:
        clock = asyncio.get_running_loop()
        self._not_before = clock.time() + seconds
        clock.call_later(seconds, self.look)

    @property
    def _paused(self) -> bool:
        return asyncio.get_running_loop().time() + 0.001 < self._not_before

    async def _turn(self, order: Order | None) -> None:
        if self._removing:
            await self._terminate()
        elif order is not None:
            closely, self._closely = self._closely, True
            container = await self._look_at_container(closely=closely)
            self._health.look(container)
            self._operations.note_data(order.assignment, container)
            fresh, self._seen_rev = self._seen_rev != order.assignment.deploy_rev, order.assignment.deploy_rev
            self._count_crash(order.assignment, container, of_before=fresh)
            self._count_illness(order.assignment, container)
            problem = order.assignment.error or self._refusal(order.assignment, container)
            if problem and self.wants_running:
                await self._keep_alive(order.assignment, container, problem)
            elif not self._paused:
                await self._apply(order, container)
            elif not self._failures:
                # A pause after a crash is worth a report; after a failure, the failure stands.
                self._report(order.assignment, container, self._readiness.problem)

    async def _look_at_container(self, *, closely: bool = False) -> Container | None:
        self._readiness.looks()
        return await (self._operations.look() if closely else self._operations.find())

    async def _act(self, action: Action, order: Order, container: Container | None) -> Container | None:
        """Do it, and look what came of it."""
        self._acting, self._missed = True, False
        try:
            await self._applying.act(action, order, container)
        except BaseException:
            if self._missed:
                self.look()
            raise
        finally:
            self._acting = False
        return await self._look_at_container(closely=True)

    def _refusal(self, assignment: pb.Assignment, container: Container | None) -> str:
        """Why this rollout is not tried again while the container of before runs in its place; empty when it may be."""
        record = self._site.state.record(self.key, assignment.restarts)
        refused = container is not None and record.refused_rev == assignment.deploy_rev
        return record.refusal if refused else ""

    async def _keep_alive(self, assignment: pb.Assignment, container: Container | None, problem: str) -> None:
        """The assignment cannot be applied: the container stays as it is, but one that crashed or is ill starts
        again."""
        stopped = container is not None and not container.running and not container.start_error
        if container is not None and stopped and self.wants_running and not self._paused:
            await self._operations.launch(container.id)
            container = await self._look_at_container()
        elif container is not None and self._health.condemns(container) and not self._paused:
            await self._applying.act(Action.RESTART, Order(assignment, sealed=False), container)
            container = await self._look_at_container()
        self._health.begin(container, fresh=False)
        self._report(assignment, container, problem)

    async def _apply(self, order: Order, container: Container | None) -> None:
        assignment = order.assignment
        record = self._site.state.record(self.key, assignment.restarts)
        drifted = None
        if container is not None and self.wants_running:
            fresh = record.applied_rev not in (None, assignment.deploy_rev)
            drifted = await self._repairs.carry_out(assignment, container, fresh=fresh)
            if drifted is not None:
                container = await self._look_at_container()
        condemned = self._health.condemns(container)
        action = await self._applying.decide(order, container, record, condemned=condemned)
        if action is not Action.NOTHING:
            log.info("instance", instance=self.instance_id, action=action.value, rev=assignment.deploy_rev)
            if condemned and record.applied_rev == assignment.deploy_rev:
                # Known before it stops, which may take its whole grace period.
                self._report(assignment, container, self._readiness.problem)
            container = await self._act(action, order, container)
            self._health.look(container)
            self._count_crash(assignment, container, of_before=False)
            drifted = None
        self._failures = 0
        self._finish(assignment, container, record, drifted or "")

    def _finish(self, assignment: pb.Assignment, container: Container | None, record: Record, drifted: str) -> None:
        """The apply went through: remember that, and report once the instance is ready. `drifted`: what is not as it
        should be all the same."""
        if record.restarts != assignment.restarts:
            record.restarts = assignment.restarts
            # At once: an agent that dies now must not restart the container a second time.
            self._site.state.flush()
        if assignment.desired_state != rules.RUNNING:
            self._crashes.row = self._illnesses.row = 0
        if not self.wants_running:
            self._readiness.cancel()
        elif not self._readiness.reached(container, assignment.pod.wait_for_port, record.ready_for):
            return
        # Only now: what still opens its port or runs its post_start hooks is not ill.
        self._health.begin(container, fresh=record.ready_for != self._readiness.ready_for)
        done = (assignment.deploy_rev, self._readiness.ready_for)
        problem = self._readiness.problem or drifted
        if (record.applied_rev, record.ready_for) != done and not problem:
            record.applied_rev, record.ready_for = done
            self._site.state.touch()
        self._report(assignment, container, problem)

    def _count_crash(self, assignment: pb.Assignment, container: Container | None, *, of_before: bool) -> None:
        """Turn a stop that nobody wanted into a pause, once per start of the container. Events only wake this up: they
        come late, and a look at the container says the same for certain. One that ended before it was ready is told at
        once, unless it is `of_before`: this rollout has not come to its turn yet."""
        if container is None or container.running or container.restarting or not container.started_at_ns:
            return
        if (
            not self._crashes.is_new((container.id, container.started_at_ns))
            or assignment.desired_state != rules.RUNNING
        ):
            return
        pause = self._crashes.pause((container.finished_at_ns - container.started_at_ns) / NANO)
        if of_before:
            pause = 0.0
        ready_for = self._site.state.record(self.key, assignment.restarts).ready_for
        self._readiness.stopped(container, assignment.pod.wait_for_port, ready_for)
        why = exit_words(container)
        log.warning("instance stopped", instance=self.instance_id, cause=why, restart_in=pause)
        text = f"container {container.name} ended with {why}; it starts again in {pause:.0f} s"
        self._tell("warn", "service:instance_crash", text)
        self._pause(pause)
        if self._readiness.problem and not of_before:
            self._report(assignment, container, self._readiness.problem)

    def _count_illness(self, assignment: pb.Assignment, container: Container | None) -> None:
        """Turn ill health into a pause before the restart, once per start of the container. It may recover in it."""
        if not self._health.condemns(container) or not self._illnesses.is_new(start_of(container)):
            return
        if assignment.desired_state != rules.RUNNING:
            return
        pause = self._illnesses.pause(self._health.well_for)
        self._tell(
            "warn", "service:health_check", f"unhealthy: {self._health.problem}; it is restarted in {pause:.0f} s"
        )
        self._pause(pause)

    async def _terminate(self) -> None:
        self._readiness.cancel()
        self._health.cancel()
        await self._operations.terminate(None if self._order is None else self._order.assignment)
        if self._removing:
            self._site.forget(self.instance_id)
            self._site.state.forget(self.key)
            self._site.files.forget(self.key)
            self._gone = True

    def _tell(self, severity: Severity, kind: str, message: str) -> None:
        self._site.events.put(self.key, severity, kind, message)

    async def _report_failure(self, order: Order | None, error: str) -> None:
        if order is None or self._removing:
            return
        try:
            container = await self._look_at_container()
        except AgentError:
            return
        self._health.look(container)
        self._tell("error", "service:create_instance" if container is None else "service:start_instance", error)
        self._report(order.assignment, container, error)

    def _report(self, assignment: pb.Assignment, container: Container | None, error: str = "") -> None:
        data = self._site.state.record(self.key, assignment.restarts).data
        crashes, health = self._crashes.row, self._health.health
        status = status_of(assignment, container, error=error, crashes=crashes, health=health, data=data)
        self._site.report(assignment, status)


def _may_pass(error: AgentError) -> bool:
    return isinstance(error, EngineRefused) and error.status >= 500


def _differs(old: pb.Assignment, new: pb.Assignment) -> bool:
    """Whether the new assignment asks for something the old one did not."""
    fields = ("desired_state", "deploy_rev", "service_revision", "restarts", "error")
    return any(getattr(old, name) != getattr(new, name) for name in fields)
