"""The containers that an instance has: found, started, stopped and removed one by one."""

from dataclasses import replace

from agent.domain import labels
from agent.domain.hooks import POST_START
from agent.domain.labels import InstanceKey
from agent.domain.swap import Settlement, own_name, settle
from agent.hooks import Hooks
from agent.runtime.ports import Container
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DEFAULT_GRACE = 10


class OwnContainers:
    """Of one instance."""

    def __init__(self, key: InstanceKey, site: Site, hooks: Hooks) -> None:
        self._key = key
        self._site = site
        self._runtime = site.runtime
        self._hooks = hooks

    async def settled(self) -> Settlement:
        """What there is once a swap that was cut short is settled, and containers beyond it are removed."""
        settled = settle(await self.all())
        for surplus in settled.discard:
            log.warning("removing a second container of one instance", name=surplus.name)
            await self.take_down(surplus, volumes=False)
        if settled.restore and settled.current is not None:
            name = own_name(settled.current)
            await self._runtime.containers.rename(settled.current.id, name)
            return Settlement(replace(settled.current, name=name))
        return settled

    async def all(self) -> list[Container]:
        """All of them, newest first."""
        return await self._runtime.containers.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids)

    async def launch(self, container_id: str) -> None:
        """Start a container without any hook and collect its log. Raises SecretsNeeded when its files are gone and only
        the master knows what is in them."""
        async with self._site.starts:
            if self._site.files.has(self._key):
                await self._bring_files(container_id)
            await self.start(container_id)

    async def _bring_files(self, container_id: str) -> None:
        container = await self._runtime.containers.inspect(container_id)
        if container is not None:
            await self._site.files.ready(container)

    async def start(self, container_id: str) -> None:
        """The same while `starts` of the site is held, for one whose files are there."""
        try:
            await self._runtime.containers.start(container_id)
        finally:
            self._site.logs.follow(container_id)
        self._site.tell_start()

    async def take_down(self, container: Container, *, volumes: bool, assignment: pb.Assignment | None = None) -> None:
        """Stop it with grace, after the pre_stop hooks of the `assignment`, and remove it."""
        await self.halt(container, assignment)
        # An engine may count the data of an instance whose volumes it mounts among its own.
        others = set().union(*self._site.state.with_data().values())
        await self._runtime.containers.remove(
            container.id, volumes=volumes and others.isdisjoint(container.volumes.values())
        )
        await self._site.files.remove(container.labels)
        log.info("container removed", name=container.name)

    async def halt(self, container: Container, assignment: pb.Assignment | None) -> None:
        """Stop it with grace, and read its log to the end."""
        if container.running and assignment is not None:
            await self._hooks.pre_stop(assignment, container)
        if container.running or container.restarting:
            await self._runtime.containers.stop(container.id, _grace_of(container))
        await self._site.logs.drained(container.id)

    async def post_start(self, assignment: pb.Assignment, container_id: str) -> None:
        """Run the hooks of the moment in a container that was started."""
        if not any(hook.type == POST_START for hook in assignment.pod.hooks):
            return
        container = await self._runtime.containers.inspect(container_id)
        if container is not None:
            await self._hooks.post_start(assignment, container)


def _grace_of(container: Container) -> int:
    """Seconds a container gets between the stop signal and the kill."""
    if labels.STOP_GRACE_PERIOD not in container.labels:
        return _DEFAULT_GRACE
    return labels.number_label(container.labels, labels.STOP_GRACE_PERIOD)
