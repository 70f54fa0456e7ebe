"""The parts of the runtime without an engine."""

import platform
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import psutil

from agent.domain.log_frames import Frame, Position
from agent.runtime.hollow.containers import HollowContainers
from agent.runtime.hollow.inspection import HollowInspection
from agent.runtime.hollow.nothing import HollowImages, HollowNetworks, HollowProbes, HollowVolumes
from agent.runtime.ports import ContainerEvent, Driver, EngineInfo, Resync
from services.kernel.version import VERSION


class HollowRuntime:
    """Everything works and nothing runs. What it holds is lost with the process."""

    name = "hollow"

    def __init__(self, engine_id: str) -> None:
        self._engine_id = engine_id
        self.containers = HollowContainers(engine_id)
        self.images = HollowImages()
        self.networks = HollowNetworks()
        self.volumes = HollowVolumes()
        self.probes = HollowProbes()
        self.inspection = HollowInspection(self.containers)

    async def info(self) -> EngineInfo:
        return EngineInfo(
            id=self._engine_id,
            os=f"{platform.system()} (hollow: containers are only pretended)",
            kernel_version=platform.release(),
            storage_driver="hollow",
            root_dir="/",
            version=f"hollow-{VERSION}",
            mem_total=psutil.virtual_memory().total,
            cpus=psutil.cpu_count() or 1,
            network_drivers=[Driver("hollow")],
            volume_drivers=[Driver("hollow")],
        )

    def events(self) -> AsyncIterator[ContainerEvent | Resync]:
        return self.containers.events()

    def logs(
        self, container_id: str, start: Position, *, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[Frame]]:
        return self.containers.logs(container_id, start, follow=follow)

    async def close(self) -> None:
        self.containers.close()
