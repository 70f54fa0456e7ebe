"""The Docker Engine behind the Runtime protocol."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from agent import probes
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import Frame, Position
from agent.runtime.docker.containers import Containers
from agent.runtime.docker.engine import Engine
from agent.runtime.docker.events import follow_events
from agent.runtime.docker.execs import Execs
from agent.runtime.docker.images import Images
from agent.runtime.docker.inspection import DockerInspection
from agent.runtime.docker.log_stream import open_log
from agent.runtime.docker.networks import Networks
from agent.runtime.docker.volumes import Volumes
from agent.runtime.ports import (
    Container,
    ContainerEvent,
    CreateBody,
    Driver,
    EngineInfo,
    Image,
    Listed,
    Login,
    NamedVolume,
    Output,
    OverlayNetwork,
    Resync,
)


class DockerRuntime:
    """Runs containers on the engine at `host` (a DOCKER_HOST value)."""

    name = "docker"

    def __init__(self, host: str) -> None:
        self._engine = Engine(host)
        self._containers = Containers(self._engine)
        self._images = Images(self._engine)
        self._networks = Networks(self._engine)
        self._volumes = Volumes(self._engine)
        self._execs = Execs(self._engine)
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

    async def ensure_image(self, image: str, rev: str, login: Login | None) -> Image:
        return await self._images.ensure(image, rev, login)

    async def images_in_use(self) -> set[str]:
        return await self._containers.image_ids()

    async def remove_image(self, image_id: str) -> bool:
        return await self._images.remove(image_id)

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        await self._networks.ensure(name, labels)

    async def ensure_overlay(self, grid: str, block: str, gateway: str, bridge: str, mtu: int) -> OverlayNetwork:
        return await self._networks.ensure_overlay(grid, block, gateway, bridge, mtu)

    async def ensure_volume(self, volume: NamedVolume) -> None:
        await self._volumes.ensure(volume)

    async def remove_volume(self, name: str, node_ids: Collection[str]) -> None:
        await self._volumes.remove(name, node_ids)

    async def volume_labels(self, name: str) -> Mapping[str, str] | None:
        return await self._volumes.labels_of(name)

    async def find_volumes(self, key: InstanceKey, node_ids: Collection[str]) -> list[str]:
        return await self._volumes.find(key, node_ids)

    async def delete_volume(self, name: str) -> None:
        await self._volumes.delete(name)

    async def list_all(self, node_ids: Collection[str]) -> list[Listed]:
        return await self._containers.list_all(node_ids)

    async def find(self, key: InstanceKey, kind: str, node_ids: Collection[str]) -> list[Container]:
        return await self._containers.find(key, kind, node_ids)

    async def inspect(self, name_or_id: str) -> Container | None:
        return await self._containers.inspect(name_or_id)

    async def create(self, name: str, body: CreateBody) -> str:
        return await self._containers.create(name, body)

    async def rename(self, container_id: str, name: str) -> None:
        await self._containers.rename(container_id, name)

    async def connect_network(self, container_id: str, network: str, aliases: Collection[str]) -> None:
        await self._networks.connect(container_id, network, aliases)

    async def disconnect_network(self, container_id: str, network: str) -> None:
        await self._networks.disconnect(container_id, network)

    async def forbid_restarts(self, container_id: str) -> None:
        await self._containers.forbid_restarts(container_id)

    async def unpause(self, container_id: str) -> None:
        await self._containers.unpause(container_id)

    async def start(self, container_id: str) -> None:
        await self._containers.start(container_id)

    async def stop(self, container_id: str, grace: int) -> None:
        await self._containers.stop(container_id, grace)

    async def restart(self, container_id: str, grace: int) -> None:
        await self._containers.restart(container_id, grace)

    async def remove(self, container_id: str, *, volumes: bool) -> None:
        await self._containers.remove(container_id, volumes=volumes)

    async def wait(self, container_id: str) -> int:
        return await self._containers.wait(container_id)

    async def execute(self, container_id: str, command: Sequence[str], output: Output) -> int:
        return await self._execs.run(container_id, command, output)

    async def connect(self, address: str, port: int, seconds: float) -> str:
        return await probes.connect(address, port, seconds)

    async def http_status(self, address: str, port: int, uri: str, seconds: float) -> int | str:
        return await probes.http_status(address, port, uri, seconds)

    def events(self) -> AsyncIterator[ContainerEvent | Resync]:
        return follow_events(self._engine)

    def logs(
        self, container_id: str, start: Position, *, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[Frame]]:
        return open_log(self._engine, container_id, start, follow=follow)

    async def close(self) -> None:
        await self._engine.close()
