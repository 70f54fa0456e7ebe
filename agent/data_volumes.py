"""The data of one stateful instance: named volumes that are never replaced by empty ones (docs/adr/0050)."""

import asyncio
from collections.abc import Mapping

from agent.domain import data, labels
from agent.domain.data import DataMount
from agent.domain.errors import DataGone, EngineRefused, NameTaken
from agent.domain.labels import InstanceKey, key_of
from agent.runtime import config
from agent.runtime.ports import Container
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_CONFLICT = 409
_IN_USE_SECONDS = 30.0
_BETWEEN_TRIES = 0.5


class DataVolumes:
    """What is known of them stands in three places, each of which may be lost alone: at the container, in the agent's
    state file, and at the master, who gets it with each status and sends it with the assignment."""

    def __init__(self, key: InstanceKey, site: Site) -> None:
        self._key = key
        self._site = site
        self._runtime = site.runtime

    def note(self, assignment: pb.Assignment, container: Container | None) -> None:
        """Remember what the container of the instance keeps."""
        held = data.held_by(container) if container is not None and assignment.pod.stateful else {}
        self._keep(assignment, held)

    def remember(self, assignment: pb.Assignment, mounts: list[DataMount]) -> None:
        """From now on there may be data in them."""
        self._keep(assignment, {mount.path: mount.name for mount in mounts})
        self._site.state.touch()

    def _keep(self, assignment: pb.Assignment, held: Mapping[str, str]) -> None:
        """On disk when this returns. All else of the agent waits for that, so only where there is something new."""
        record = self._site.state.record(self._key, assignment.restarts)
        if not held.items() <= record.data.items():
            record.data = {**record.data, **held}
            self._site.state.flush()

    async def prepare(self, assignment: pb.Assignment, image_volumes: tuple[str, ...]) -> list[DataMount]:
        """The volumes of the next container; those that are new are made. Raises DataGone when one that held data does
        not exist, and then makes nothing; NameTaken when one belongs to somebody else."""
        if not assignment.pod.stateful:
            return []
        known = await self._known(assignment)
        mounts, missing = [], {}
        for path in data.paths(assignment.pod, image_volumes):
            name = known.get(path) or data.volume_name(assignment.pod.container_name, self._key, path)
            found = await self._runtime.volumes.labels_of(name)
            if found is None and path in known:
                missing[path] = name
            elif found is not None and not self._may_use(found):
                raise NameTaken(f"the volume {name} belongs to another instance or another node")
            mounts.append(DataMount(path, name, fresh=path not in known))
        if missing:
            raise DataGone(data.gone(missing))
        for mount in mounts:
            if mount.fresh:
                await self._runtime.volumes.ensure(config.data_volume(assignment, self._site.identity(), mount))
        return mounts

    async def _known(self, assignment: pb.Assignment) -> dict[str, str]:
        """Volume by path of all that ever held data of this instance on this node."""
        told = {item.path: item.name for item in assignment.data_volumes}
        kept: dict[str, str] = {}
        for keeper in await self._keepers():
            kept |= data.held_by(keeper)
        return told | kept | self._site.state.record(self._key, assignment.restarts).data

    def _may_use(self, found: Mapping[str, str]) -> bool:
        """One without labels was made or brought back by a person."""
        owner = key_of(found)
        return owner is None or (owner == self._key and labels.is_ours(found, self._site.state.node_ids))

    async def _keepers(self) -> list[Container]:
        """The data containers of earlier releases."""
        return await self._runtime.containers.find(self._key, labels.TYPE_VOLUME, self._site.state.node_ids)

    async def retire_keepers(self) -> None:
        """The container of the instance holds the volumes itself now."""
        for keeper in await self._keepers():
            await self._runtime.containers.remove(keeper.id, volumes=False)
            log.info("data container removed, its volumes stay", name=keeper.name)

    async def remove(self, containers: list[Container]) -> None:
        """Remove all data. `containers` are those that the instance had, removed already."""
        record = self._site.state.with_data().get(self._key, set())
        names = record | set(await self._runtime.volumes.find(self._key, self._site.state.node_ids))
        for container in containers:
            names |= set(data.labelled(container).values())
        for keeper in await self._keepers():
            await self._runtime.containers.remove(keeper.id, volumes=True)
        for name in sorted(names):
            await self._delete(name)

    async def _delete(self, name: str) -> None:
        """Containers of other services that mount it (volumes_from) may be on their way out as well."""
        clock = asyncio.get_running_loop()
        deadline = clock.time() + _IN_USE_SECONDS
        while True:
            try:
                return await self._runtime.volumes.delete(name)
            except EngineRefused as error:
                if error.status != _CONFLICT:
                    raise
                if clock.time() > deadline:
                    log.warning("a volume of a removed instance stays, as it is in use", name=name, cause=str(error))
                    return None
            await asyncio.sleep(_BETWEEN_TRIES)
