"""The steps of each operation on an instance (spec/orchestration.md section 8.4)."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from agent.domain import labels
from agent.domain.errors import ConfigInvalid, ImageUnavailable, NameTaken, Overtaken, SecretsNeeded
from agent.domain.hooks import PRE_START
from agent.domain.labels import InstanceKey, key_of
from agent.hooks import Hooks
from agent.runtime import config
from agent.runtime.ports import Container, Image, Login
from agent.site import Severity, Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DEFAULT_GRACE = 10
_CREATE = "service:create_instance"
_START = "service:start_instance"
_STOP = "service:stop_instance"
_RESTART = "service:restart_instance"
_REMOVE = "service:remove_instance"


class Operations:
    """Acts on the containers of one instance. Each method may be repeated after a failure.

    `sealed`: the assignment was read from the state file, so its secrets have no values. `overtaken` is set while
    something else is wanted than what is being done: a pull, which may take long, ends with Overtaken then.
    """

    def __init__(self, key: InstanceKey, site: Site, overtaken: asyncio.Event | None = None) -> None:
        self._key = key
        self._overtaken = overtaken or asyncio.Event()
        self._site = site
        self._runtime = site.runtime
        self._hooks = Hooks(key, site)

    async def find(self) -> Container | None:
        """The instance's container. Should there be several, the newest one; the others are removed."""
        found = await self._runtime.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids)
        for surplus in found[1:]:
            log.warning("removing a second container of one instance", name=surplus.name)
            await self._take_down(surplus, volumes=False)
        return found[0] if found else None

    async def image_id(self, assignment: pb.Assignment, *, sealed: bool) -> str:
        """Pull the image of this rollout, once, and tell its id."""
        pod = assignment.pod
        login = None
        if pod.HasField("image_credentials") and not sealed:
            given = pod.image_credentials
            login = Login(given.username, given.password, given.email)
        try:
            pull = self._runtime.ensure_image(pod.image, assignment.deploy_rev, login)
            image = await self._unless_overtaken(pull)
        except ImageUnavailable as error:
            if sealed and pod.HasField("image_credentials"):
                raise SecretsNeeded("the login of the registry is known to the master only") from error
            raise
        if image.pulled:
            self._site.pulled(image.id)
        if image.problem:
            text = f"image {pod.image} was not pulled, the copy on this node is used: {image.problem}"
            self._tell(_CREATE, text[:500], "warn")
        return image.id

    async def _unless_overtaken(self, pull: Coroutine[Any, Any, Image]) -> Image:
        pulling, overtaken = asyncio.create_task(pull), asyncio.create_task(self._overtaken.wait())
        try:
            await asyncio.wait((pulling, overtaken), return_when=asyncio.FIRST_COMPLETED)
            if not pulling.done():
                raise Overtaken("the pull was given up")
            return pulling.result()
        finally:
            pulling.cancel()
            overtaken.cancel()
            await asyncio.gather(pulling, overtaken, return_exceptions=True)

    async def create(self, assignment: pb.Assignment, old: Container | None, *, sealed: bool) -> None:
        """Replace `old` by a new container and start it. Whatever can be known to be wrong before, is found before the
        old one is touched."""
        pod = assignment.pod
        if not pod.image or not pod.container_name:
            raise ConfigInvalid("the assignment names no image or no container")
        self._require_secrets(assignment, sealed=sealed)
        self._tell(_CREATE, f"getting image {pod.image}")
        await self.image_id(assignment, sealed=sealed)
        await self._ensure_volumes(assignment)
        await self._ensure_network(assignment)
        body = await self._body(assignment)
        in_the_way = await self._holder_of(pod.container_name)
        if pod.stateful:
            await self._ensure_data_container(assignment)
        if old is not None:
            await self._take_down(old, volumes=not pod.stateful, assignment=assignment)
            self._tell(_CREATE, f"removed the old container {old.name}")
        if in_the_way is not None:
            await self._take_down(in_the_way, volumes=not pod.stateful)
        await self._hooks.pre_start(assignment, body)
        async with self._site.starts:
            container_id = await self._runtime.create(pod.container_name, body)
            log.info("container created", name=pod.container_name, image=pod.image, rev=assignment.deploy_rev)
            await self._launch(container_id)
        self._tell(_CREATE, f"container {pod.container_name} was created and started")
        await self._post_start(assignment, container_id)

    async def start(self, assignment: pb.Assignment, container: Container, *, sealed: bool) -> None:
        """Start a container that was stopped or has ended."""
        await self._ensure_network(assignment)
        if any(hook.type == PRE_START for hook in assignment.pod.hooks):
            self._require_secrets(assignment, sealed=sealed)
            await self._hooks.pre_start(assignment, await self._body(assignment))
        await self.launch(container.id)
        self._tell(_START, f"container {container.name} was started")
        await self._post_start(assignment, container.id)

    async def launch(self, container_id: str) -> None:
        """Start a container without any hook and collect its log."""
        async with self._site.starts:
            await self._launch(container_id)

    async def _launch(self, container_id: str) -> None:
        try:
            await self._runtime.start(container_id)
        finally:
            self._site.logs.follow(container_id)

    async def stop(self, assignment: pb.Assignment, container: Container) -> None:
        """Stop it with grace."""
        await self._hooks.pre_stop(assignment, container)
        await self._runtime.stop(container.id, assignment.pod.stop_grace_period)
        self._tell(_STOP, f"container {container.name} was stopped")

    async def restart(self, container: Container, grace: int) -> None:
        """Restart it in place; hooks do not run."""
        await self._runtime.restart(container.id, grace)
        self._site.logs.follow(container.id)
        self._tell(_RESTART, f"container {container.name} was restarted")

    async def terminate(self, assignment: pb.Assignment | None) -> None:
        """Remove everything the instance has on this node, its data included. `assignment` is the last one it had
        here."""
        await self.withdraw(assignment)
        for container in await self._runtime.find(self._key, labels.TYPE_VOLUME, self._site.state.node_ids):
            await self._runtime.remove(container.id, volumes=True)

    async def withdraw(self, assignment: pb.Assignment | None) -> None:
        """Remove its containers; data that it keeps in a data container stays."""
        for container in await self._runtime.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids):
            await self._take_down(container, volumes=True, assignment=assignment)
            self._tell(_REMOVE, f"container {container.name} was removed")
        await self._hooks.remove_leftovers()

    def _tell(self, kind: str, message: str, severity: Severity = "info") -> None:
        self._site.events.put(self._key, severity, kind, message)

    @staticmethod
    def _require_secrets(assignment: pb.Assignment, *, sealed: bool) -> None:
        if sealed and assignment.secrets:
            raise SecretsNeeded("the values of secrets are known to the master only")

    async def _body(self, assignment: pb.Assignment) -> dict[str, Any]:
        volumes_from = [await self._resolve(entry, assignment) for entry in assignment.pod.volumes_from]
        lender = config.lender_of(assignment.pod)
        if lender:
            lender = await self._resolve(lender, assignment)
        return config.container_config(assignment, self._site.identity(), volumes_from=volumes_from, lender=lender)

    async def _post_start(self, assignment: pb.Assignment, container_id: str) -> None:
        container = await self._runtime.inspect(container_id)
        if container is not None:
            await self._hooks.post_start(assignment, container)

    async def _take_down(self, container: Container, *, volumes: bool, assignment: pb.Assignment | None = None) -> None:
        if container.running and assignment is not None:
            await self._hooks.pre_stop(assignment, container)
        if container.running or container.restarting:
            await self._runtime.stop(container.id, grace_of(container))
        await self._site.logs.drained(container.id)
        await self._runtime.remove(container.id, volumes=volumes)
        log.info("container removed", name=container.name)

    async def _holder_of(self, name: str) -> Container | None:
        """The container that has the name and is ours to remove. Raises NameTaken when it is not."""
        holder = await self._runtime.inspect(name)
        if holder is None or holder.name != name:
            return None
        if not labels.is_ours(holder.labels, self._site.state.node_ids):
            raise NameTaken(f"the name {name} is taken by a container that is not this agent's; remove it")
        owner = key_of(holder.labels)
        if owner == self._key:
            return None
        if owner is not None and self._site.is_assigned(owner):
            raise NameTaken(f"the name {name} is taken by another service of this node")
        return holder

    async def _ensure_network(self, assignment: pb.Assignment) -> None:
        if config.on_grid_network(assignment.pod):
            grid = self._site.identity().grid
            await self._runtime.ensure_network(config.grid_network(grid), {labels.GRID_NAME: grid})

    async def _ensure_volumes(self, assignment: pb.Assignment) -> None:
        for volume in config.named_volumes(assignment, self._site.identity()):
            await self._runtime.ensure_volume(volume)

    async def _ensure_data_container(self, assignment: pb.Assignment) -> None:
        name = config.data_container_name(assignment.pod.container_name)
        if await self._holder_of(name) is not None:
            raise NameTaken(f"the name {name} is taken by data of a removed service; remove it")
        if await self._runtime.find(self._key, labels.TYPE_VOLUME, self._site.state.node_ids):
            return
        await self._runtime.create(name, config.data_container_config(assignment, self._site.identity()))
        self._tell(_CREATE, f"data container {name} was created")

    async def _resolve(self, entry: str, assignment: pb.Assignment) -> str:
        name, colon, mode = entry.partition(":")
        candidates = config.container_candidates(name, assignment)
        for candidate in candidates:
            if await self._runtime.inspect(candidate) is not None:
                return f"{candidate}{colon}{mode}"
        return f"{candidates[0]}{colon}{mode}"


def grace_of(container: Container) -> int:
    """Seconds a container gets between the stop signal and the kill."""
    if labels.STOP_GRACE_PERIOD not in container.labels:
        return _DEFAULT_GRACE
    return labels.number_label(container.labels, labels.STOP_GRACE_PERIOD)
