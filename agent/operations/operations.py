"""The order of the steps of create, start, stop, restart and terminate."""

import asyncio

from agent.data_volumes import DataVolumes
from agent.domain import data, labels
from agent.domain.data import DataMount
from agent.domain.errors import AgentError, ConfigInvalid, EngineUnreachable
from agent.domain.hooks import PRE_START
from agent.domain.labels import InstanceKey
from agent.domain.swap import next_name
from agent.handover import Handover
from agent.hooks import Hooks
from agent.operations import create_request, kinds
from agent.operations.images import Images
from agent.operations.overtaken import unless_overtaken
from agent.operations.own_containers import OwnContainers
from agent.operations.room import Room
from agent.operations.swap import Swap
from agent.runtime.ports import Container, Image
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)


class Operations:
    """Acts on the containers of one instance. Each method may be repeated after a failure.

    `sealed`: the assignment was read from the state file, so its secrets have no values. `overtaken` is set while
    something else is wanted than what is being done: a pull, which may take long, ends with Overtaken then. Without a
    `handover`, the container of before always stops first.
    """

    def __init__(
        self,
        key: InstanceKey,
        site: Site,
        overtaken: asyncio.Event | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._key = key
        self._handover = handover
        self._overtaken = overtaken or asyncio.Event()
        self._site = site
        self._runtime = site.runtime
        self._hooks = Hooks(key, site)
        self._data = DataVolumes(key, site)
        self._images = Images(key, site, self._overtaken)
        self._own = OwnContainers(key, site, self._hooks)
        self._room = Room(key, site, self._own)
        # The id of the container that was found or made last.
        self._last = ""
        self._swap = Swap(key, site, self._own, self._hooks, self._overtaken)

    async def find(self) -> Container | None:
        """The instance's container. A swap that was cut short is settled, and containers beyond it are removed; so it
        must not be called in the middle of a swap."""
        found = (await self._own.settled()).current
        self._last = "" if found is None else found.id
        return found

    async def look(self) -> Container | None:
        """The container that was found or made last, without asking what else there is; what `find` says when it is
        gone."""
        seen = await self._runtime.containers.inspect(self._last) if self._last else None
        return await self.find() if seen is None else seen

    def note_data(self, assignment: pb.Assignment, container: Container | None) -> None:
        """Remember the volumes with the data of the instance."""
        self._data.note(assignment, container)

    async def image(self, assignment: pb.Assignment, *, sealed: bool) -> Image:
        """Pull the image of this rollout, once."""
        return await self._images.of_rollout(assignment, sealed=sealed)

    async def create(self, assignment: pb.Assignment, old: Container | None, *, sealed: bool) -> None:
        """Replace `old` by a new container and start it. Whatever can be known to be wrong before, is found before the
        old one is touched: what the engine refuses to create too, as the successor is made under another name. Raises
        StartRefused when the successor did not come to run and `old` runs again."""
        pod = assignment.pod
        if not pod.image or not pod.container_name:
            raise ConfigInvalid("the assignment names no image or no container")
        create_request.require_secrets(assignment, sealed=sealed)
        image = await self._images.of_rollout(assignment, sealed=sealed)
        await create_request.ensure_volumes(self._site, assignment)
        network = await create_request.ensure_network(self._site, assignment)
        await unless_overtaken(self._overtaken, self._room.make(assignment, swap=old is not None))
        self._data.note(assignment, old)
        mounts = await self._data.prepare(assignment, tuple(image.volumes))
        self._site.files.refuse_mount(pod)
        token = self._site.files.new_token(assignment)
        body = await create_request.body(self._site, assignment, mounts, token, network)
        name = pod.container_name if old is None else next_name(pod.container_name)
        in_one_go = old is None and not any(hook.type == PRE_START for hook in pod.hooks)
        async with self._site.starts:
            async with self._site.files.placed(self._site.identity().node_id, token, assignment.files):
                successor = await self._runtime.containers.create(name, body)
            log.info("container created", name=name, image=pod.image, rev=assignment.deploy_rev)
            self._data.remember(assignment, mounts)
            if in_one_go:
                await self._own.start(successor)
        beside = pod.start_first and old is not None and old.running and self._handover is not None
        if beside and old is not None and self._handover is not None:
            await self._swap.take_over(assignment, successor, old, body, self._handover)
        elif not in_one_go:
            await self._swap.swap_in(assignment, successor, old, body)
        self._last = successor
        self._tell(kinds.CREATE, f"container {pod.container_name} was created and started")
        if pod.stateful:
            await self._data.retire_keepers()
        if not beside:
            await self._own.post_start(assignment, successor)

    async def start(self, assignment: pb.Assignment, container: Container, *, sealed: bool) -> None:
        """Start a container that was stopped or has ended, or one that a dead agent had made. Raises StartRefused when
        there is another one of before, which runs again."""
        network = await create_request.ensure_network(self._site, assignment)
        former = (await self._own.settled()).former
        try:
            hooks = await self._hooks.before_start(assignment)
            if hooks:
                create_request.require_secrets(assignment, sealed=sealed)
                mounts = [DataMount(path, name) for path, name in data.labelled(container).items()]
                await self._site.files.ready(container)
                token = container.labels.get(labels.FILES, "")
                body = await create_request.body(self._site, assignment, mounts, token, network)
                await self._hooks.run_before_start(assignment, hooks, body)
            await self._own.launch(container.id)
        except EngineUnreachable:
            raise
        except AgentError as error:
            if former is not None:
                await self._swap.give_up(assignment, container.id, former, error)
            raise
        await self._swap.retire(assignment, former)
        self._tell(kinds.START, f"container {container.name} was started")
        await self._own.post_start(assignment, container.id)

    async def launch(self, container_id: str) -> None:
        """Start a container without any hook and collect its log. Raises SecretsNeeded when its files are gone and only
        the master knows what is in them."""
        await self._own.launch(container_id)

    async def stop(self, assignment: pb.Assignment, container: Container) -> None:
        """Stop it with grace."""
        await self._hooks.pre_stop(assignment, container)
        await self._runtime.containers.stop(container.id, assignment.pod.stop_grace_period)
        self._tell(kinds.STOP, f"container {container.name} was stopped")

    async def restart(self, container: Container, grace: int) -> None:
        """Restart it in place; hooks do not run."""
        await self._site.files.ready(container)
        await self._runtime.containers.restart(container.id, grace)
        self._site.logs.follow(container.id)
        self._tell(kinds.RESTART, f"container {container.name} was restarted")

    async def terminate(self, assignment: pb.Assignment | None) -> None:
        """Remove everything the instance has on this node, its data included. `assignment` is the last one it had
        here."""
        await self._data.remove(await self.withdraw(assignment))

    async def withdraw(self, assignment: pb.Assignment | None) -> list[Container]:
        """Remove its containers, and tell which there were; the data of a stateful instance stays."""
        found = await self._own.all()
        for container in found:
            await self._own.take_down(container, volumes=True, assignment=assignment)
            self._tell(kinds.REMOVE, f"container {container.name} was removed")
        await self._hooks.remove_leftovers()
        return found

    def _tell(self, kind: str, message: str) -> None:
        self._site.events.put(self._key, "info", kind, message)
