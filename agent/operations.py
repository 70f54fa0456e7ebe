"""The steps of each operation on an instance (spec/orchestration.md section 8.4).

Hooks belong here: pre_start and post_start around `start`, pre_stop before `stop`.
"""

from agent.domain import labels
from agent.domain.errors import ConfigInvalid, NameTaken, SecretsNeeded
from agent.domain.labels import InstanceKey, key_of
from agent.runtime import config
from agent.runtime.ports import Container, Login
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DEFAULT_GRACE = 10


class Operations:
    """Acts on the containers of one instance. Each method may be repeated after a failure."""

    def __init__(self, key: InstanceKey, site: Site) -> None:
        self._key = key
        self._site = site
        self._runtime = site.runtime

    async def find(self) -> Container | None:
        """The instance's container. Should there be several, the newest one; the others are removed."""
        found = await self._runtime.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids)
        for surplus in found[1:]:
            log.warning("removing a second container of one instance", name=surplus.name)
            await self._take_down(surplus, volumes=False)
        return found[0] if found else None

    async def image_id(self, assignment: pb.Assignment) -> str:
        """Pull the image of this rollout, once, and tell its id."""
        pod = assignment.pod
        login = None
        if pod.HasField("image_credentials"):
            given = pod.image_credentials
            login = Login(given.username, given.password, given.email)
        return await self._runtime.ensure_image(pod.image, assignment.deploy_rev, login)

    async def create(self, assignment: pb.Assignment, old: Container | None, *, sealed: bool) -> None:
        """Replace `old` by a new container and start it. Whatever can be known to be wrong before, is found before the
        old one is touched. `sealed`: the secrets of the assignment have no values."""
        if sealed and assignment.secrets:
            raise SecretsNeeded("the values of secrets are known to the master only")
        pod = assignment.pod
        if not pod.image or not pod.container_name:
            raise ConfigInvalid("the assignment names no image or no container")
        await self.image_id(assignment)
        body = config.container_config(
            assignment, self._site.identity(), volumes_from=await self._volumes_from(assignment)
        )
        in_the_way = await self._holder_of(pod.container_name)
        if pod.stateful:
            await self._ensure_data_container(assignment)
        for container in (old, in_the_way):
            if container is not None:
                await self._take_down(container, volumes=not pod.stateful)
        container_id = await self._runtime.create(pod.container_name, body)
        log.info("container created", name=pod.container_name, image=pod.image, rev=assignment.deploy_rev)
        await self.start(container_id)

    async def start(self, container_id: str) -> None:
        """Start a container and collect its log."""
        try:
            await self._runtime.start(container_id)
        finally:
            self._site.logs.follow(container_id)

    async def stop(self, container: Container, grace: int) -> None:
        """Stop it with grace."""
        await self._runtime.stop(container.id, grace)

    async def restart(self, container: Container, grace: int) -> None:
        """Restart it in place."""
        await self._runtime.restart(container.id, grace)
        self._site.logs.follow(container.id)

    async def terminate(self) -> None:
        """Remove everything the instance has on this node, its data included."""
        node_ids = self._site.state.node_ids
        for container in await self._runtime.find(self._key, labels.TYPE_CONTAINER, node_ids):
            await self._take_down(container, volumes=True)
        for container in await self._runtime.find(self._key, labels.TYPE_VOLUME, node_ids):
            await self._runtime.remove(container.id, volumes=True)

    async def _take_down(self, container: Container, *, volumes: bool) -> None:
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

    async def _ensure_data_container(self, assignment: pb.Assignment) -> None:
        name = config.data_container_name(assignment.pod.container_name)
        if await self._holder_of(name) is not None:
            raise NameTaken(f"the name {name} is taken by data of a removed service; remove it")
        if await self._runtime.find(self._key, labels.TYPE_VOLUME, self._site.state.node_ids):
            return
        await self._runtime.create(name, config.data_container_config(assignment, self._site.identity()))

    async def _volumes_from(self, assignment: pb.Assignment) -> list[str]:
        return [await self._resolve(entry, assignment) for entry in assignment.pod.volumes_from]

    async def _resolve(self, entry: str, assignment: pb.Assignment) -> str:
        candidates = config.volumes_from_candidates(entry, assignment)
        for name in candidates:
            if await self._runtime.inspect(name) is not None:
                return name
        return candidates[0]


def grace_of(container: Container) -> int:
    """Seconds a container gets between the stop signal and the kill."""
    if labels.STOP_GRACE_PERIOD not in container.labels:
        return _DEFAULT_GRACE
    return labels.number_label(container.labels, labels.STOP_GRACE_PERIOD)
