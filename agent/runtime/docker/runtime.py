"""The Docker Engine behind the Runtime protocol."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from agent import probes
from agent.domain.log_frames import Frame, Position
from agent.runtime.docker.containers import Containers
from agent.runtime.docker.engine import Engine
from agent.runtime.docker.events import follow_events
from agent.runtime.docker.images import Images
from agent.runtime.docker.inspection import DockerInspection
from agent.runtime.docker.log_stream import open_log
from agent.runtime.docker.networks import Networks
from agent.runtime.docker.volumes import Volumes
from agent.runtime.ports import ContainerEvent, Driver, EngineInfo, Probes, Resync


class DockerRuntime:
    """Runs containers on the engine at `host` (a DOCKER_HOST value)."""

    name = "docker"

    def __init__(self, host: str) -> None:
        self._engine = Engine(host)
        self.containers = Containers(self._engine)
        self.images = Images(self._engine)
        self.networks = Networks(self._engine)
        self.volumes = Volumes(self._engine)
        self.probes: Probes = probes
        self.inspection = DockerInspection(self._engine)

    async def info(self) -> EngineInfo:
        async with self._engine.call() as docker:
            shown = await docker.system.info()
        plugins = shown.get("Plugins") or {}
        return EngineInfo(
            id=shown["ID"],
            os=shown["OperatingSystem"],
            kernel_version=shown["KernelVersion"],
            storage_driver=shown["Driver"],
            root_dir=shown["DockerRootDir"],
            version=shown["ServerVersion"],
            mem_total=shown["MemTotal"],
            cpus=shown["NCPU"],
            network_drivers=[Driver(name) for name in plugins.get("Network") or []],
            volume_drivers=[Driver(name) for name in plugins.get("Volume") or []],
            labels=shown.get("Labels") or [],
        )

    def events(self) -> AsyncIterator[ContainerEvent | Resync]:
        return follow_events(self._engine)

    def logs(
        self, container_id: str, start: Position, *, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[Frame]]:
        return open_log(self._engine, container_id, start, follow=follow)

    async def close(self) -> None:
        await self._engine.close()
