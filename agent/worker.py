"""Turns assignments into supervised instances, and the engine's events into their wake-ups."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from agent.domain import labels
from agent.domain.errors import EngineUnreachable, MasterNeeded, NameTaken
from agent.domain.labels import InstanceKey, key_of
from agent.instance import Instance
from agent.logs.collector import LogCollector
from agent.runtime.ports import ContainerEvent, Listed
from agent.site import Removals, Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

# More than any grace period that makes sense, less than a deploy waits for a node.
_REMOVAL_SECONDS = 240.0


class Worker:
    """Owns the instances of this node. Used as `async with`; leaving ends the work on them, not the containers."""

    def __init__(self, site: Callable[[Removals], Site], logs: LogCollector) -> None:
        """`site` makes what the instances share, for which the worker knows what is removed."""
        self._site = site(self)
        self._runtime = self._site.runtime
        self._state = self._site.state
        self._logs = logs
        self._desired: dict[str, pb.Assignment] = {}
        self._instances: dict[InstanceKey, Instance] = {}
        self._tasks: dict[InstanceKey, asyncio.Task[None]] = {}
        # Until the master has said what is to run, a container without an assignment may be one it wants.
        self._complete = False
        self._told = asyncio.Event()
        self._restoring: asyncio.Task[None] | None = None
        self.resync_wanted = asyncio.Event()

    async def __aenter__(self) -> "Worker":
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._tasks.values(), *([self._restoring] if self._restoring is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def restore(self, patience: float) -> None:
        """Go on with what was assigned before this process started, unless the master says within `patience` seconds
        what is assigned now: an instance that has moved meanwhile must not run here once more."""
        self._restoring = asyncio.create_task(self._restore(patience), name="restore")

    async def _restore(self, patience: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._told.wait()
        if self._state.node is not None and not self._told.is_set():
            log.info("the master is away: going on with what was assigned last", count=len(self._state.assignments))
            self._desired = dict(self._state.assignments)
            self._bring_about(sealed=True)

    def forget(self) -> None:
        """This machine became another node: nothing is assigned until the master says so."""
        self._desired = {}
        self._complete = False

    def replace(self, assignments: Sequence[pb.Assignment]) -> None:
        """These and no others; containers of this node that belong to none of them are removed."""
        log.info("assignments received", count=len(assignments))
        self._desired = {assignment.instance_id: assignment for assignment in assignments}
        self._complete = True
        self._told.set()
        self._changed()

    def patch(self, upserted: Sequence[pb.Assignment], removed: Sequence[str]) -> None:
        """These changed, those are gone. Whatever else is assigned is not even looked at."""
        ended = [self._desired.pop(one, None) for one in [*removed, *(item.instance_id for item in upserted)]]
        # Inserted anew, so that the newest assignment of an instance number comes last and wins.
        self._desired.update({assignment.instance_id: assignment for assignment in upserted})
        self._changed([_key(item) for item in (*ended, *upserted) if item is not None])

    def _changed(self, keys: Iterable[InstanceKey] | None = None) -> None:
        self._state.keep_assignments(self._desired.values())
        self._bring_about(keys, sealed=False)
        self.resync_wanted.set()

    def _bring_about(self, keys: Iterable[InstanceKey] | None = None, *, sealed: bool) -> None:
        """What is wanted of these instances, or of all; each once, what is new in the order of assignment."""
        targets = self._targets()
        for key in dict.fromkeys([*self._instances, *targets] if keys is None else keys):
            if key in targets:
                self._instance(key).assign(targets[key], sealed=sealed)
            elif key in self._instances:
                self._instances[key].remove()

    def _targets(self) -> dict[InstanceKey, pb.Assignment]:
        return {_key(item): item for item in self._desired.values()}

    async def of_instance(self, key: InstanceKey, name: str) -> None:
        """See agent.site.Removals."""
        if key in self._targets():
            raise NameTaken(f"the name {name} is taken by another service of this node")
        if not self._complete:
            raise MasterNeeded(f"the master has not said yet whether the container {name} may go")
        self._instance(key).remove()
        await asyncio.wait((self._tasks[key],), timeout=_REMOVAL_SECONDS)
        if key in self._tasks:
            raise NameTaken(f"the name {name} is taken by a container whose removal is under way and does not end")

    async def of_ports(self, ports: frozenset[int]) -> None:
        """See agent.site.Removals."""
        found = [key for key, instance in self._instances.items() if instance.removing and instance.publishes(ports)]
        if found:
            await asyncio.wait([self._tasks[key] for key in found], timeout=_REMOVAL_SECONDS)

    def _instance(self, key: InstanceKey) -> Instance:
        instance = self._instances.get(key)
        if instance is None:
            instance = self._instances[key] = Instance(key, self._site)
            task = asyncio.create_task(instance.run(), name=f"instance {key.service_id}/{key.number}")
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._ended(key))
        return instance

    def _ended(self, key: InstanceKey) -> None:
        task = self._tasks.pop(key)
        del self._instances[key]
        if task.cancelled():
            return
        if task.exception() is not None:
            log.error("instance ended", key=str(key), exc_info=task.exception())
        assignment = self._targets().get(key)
        if assignment is not None:
            # It came back while its removal was ending.
            self._instance(key).assign(assignment)

    def instance_id(self, key: InstanceKey) -> str:
        """The master's id of an instance, empty when it is not assigned here."""
        instance = self._instances.get(key)
        return "" if instance is None else instance.instance_id

    async def follow_events(self) -> None:
        """Wake instances as their containers change; raises when the engine cannot be listened to."""
        async for event in self._runtime.events():
            if isinstance(event, ContainerEvent):
                self._dispatch(event)
            else:
                self.resync_wanted.set()
                for instance in self._instances.values():
                    instance.look()
        raise EngineUnreachable("the engine's events ended")

    def _dispatch(self, event: ContainerEvent) -> None:
        if not labels.is_ours(event.labels, self._state.node_ids):
            return
        if event.labels.get(labels.CONTAINER_TYPE) != labels.TYPE_CONTAINER:
            return
        if event.action == "start":
            self._logs.follow(event.container_id)
        key = key_of(event.labels)
        instance = None if key is None else self._instances.get(key)
        if instance is not None:
            instance.look_after_event()

    async def resync(self) -> None:
        """Compare with what the engine has: wake what differs, remove what is not assigned, collect all logs."""
        if self._state.node is None:
            return
        folders = await self._site.files.all(self._state.node_ids)
        listed = await self._runtime.containers.list_all(self._state.node_ids)
        await self._site.files.sweep([item.labels for item in listed], folders)
        containers = [item for item in listed if item.labels.get(labels.CONTAINER_TYPE) == labels.TYPE_CONTAINER]
        self._logs.keep_only({item.id for item in listed})
        for item in containers:
            if item.running or not self._logs.knows(item.id):
                self._logs.follow(item.id)
        self._wake_different(containers)
        if self._complete:
            self._remove_unassigned(listed)
            self._remove_forgotten_data()

    def _wake_different(self, containers: list[Listed]) -> None:
        found: dict[InstanceKey | None, list[Listed]] = defaultdict(list)
        for item in containers:
            found[key_of(item.labels)].append(item)
        for key, instance in self._instances.items():
            if len(found[key]) == 1:
                instance.look_if_changed(found[key][0])
            elif found[key] or instance.wants_running:
                instance.look()

    def _remove_unassigned(self, listed: list[Listed]) -> None:
        targets = self._targets()
        for item in listed:
            key = key_of(item.labels)
            if key is None:
                log.warning("container with our node label but without an instance", name=item.name)
            elif key not in targets and key not in self._instances:
                log.info("removing a container that is not assigned", name=item.name)
                self._instance(key).remove()

    def _remove_forgotten_data(self) -> None:
        """Data of instances that left while no agent ran, and whose containers somebody removed."""
        targets = self._targets()
        for key in self._state.with_data():
            if key not in targets and key not in self._instances:
                self._instance(key).remove()


def _key(assignment: pb.Assignment) -> InstanceKey:
    return InstanceKey(assignment.service_id, assignment.instance_number)
