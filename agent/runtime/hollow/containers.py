"""Containers that are only records in memory; what happens to them is scripted (see the package)."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from agent.domain import labels
from agent.domain.errors import EngineRefused
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import Frame, Position
from agent.runtime.ports import Container, ContainerEvent, CreateBody, Listed, Output, Resync

START_SECONDS = "io.kontena.hollow.start_seconds"
RUN_SECONDS = "io.kontena.hollow.run_seconds"


@dataclass(slots=True)
class _Hollow:
    container: Container
    image: str
    body: CreateBody
    frames: list[Frame] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.TimerHandle | None = None


class HollowContainers:
    """See agent.runtime.ports, and their events and logs besides."""

    def __init__(self, engine_id: str) -> None:
        self._engine_id = engine_id
        self._containers: dict[str, _Hollow] = {}
        self._listeners: set[asyncio.Queue[ContainerEvent]] = set()
        self._numbers = itertools.count(1)

    async def list_all(self, node_ids: Collection[str]) -> list[Listed]:
        found = [hollow.container for hollow in self._containers.values()]
        ours = (container for container in found if labels.is_ours(container.labels, node_ids))
        return [Listed(c.id, c.name, c.labels, c.running, frozenset(c.networks)) for c in ours]

    async def image_ids(self) -> set[str]:
        return {hollow.container.image_id for hollow in self._containers.values()}

    async def find(self, key: InstanceKey, kind: str, node_ids: Collection[str]) -> list[Container]:
        found = [hollow.container for hollow in reversed(self._containers.values())]
        return [
            container
            for container in found
            if labels.key_of(container.labels) == key
            and container.labels.get(labels.CONTAINER_TYPE) == kind
            and labels.is_ours(container.labels, node_ids)
        ]

    async def inspect(self, name_or_id: str) -> Container | None:
        for hollow in self._containers.values():
            if name_or_id in (hollow.container.id, hollow.container.name):
                return hollow.container
        return None

    def body(self, container_id: str) -> CreateBody:
        """What the container was created from."""
        return self._get(container_id).body

    async def create(self, name: str, body: CreateBody) -> str:
        if await self.inspect(name) is not None:
            raise EngineRefused(409, f"the container name {name} is in use")
        container_id = hashlib.sha256(f"{self._engine_id}/{next(self._numbers)}/{time.time_ns()}".encode()).hexdigest()
        container = Container(
            container_id,
            name,
            image_id(body["Image"]),
            dict(body["Labels"]),
            running=False,
            networks=_networks(body),
        )
        self._containers[container_id] = _Hollow(container, body["Image"], body)
        return container_id

    async def rename(self, container_id: str, name: str) -> None:
        if await self.inspect(name) is not None:
            raise EngineRefused(409, f"the container name {name} is in use")
        hollow = self._get(container_id)
        hollow.container = replace(hollow.container, name=name)

    # Nobody can get at a hollow container to change these.

    async def forbid_restarts(self, container_id: str) -> None:
        return

    async def unpause(self, container_id: str) -> None:
        return

    async def start(self, container_id: str) -> None:
        hollow = self._get(container_id)
        await asyncio.sleep(float(hollow.container.labels.get(START_SECONDS, "0")))
        if hollow.image.startswith("hollow/broken"):
            hollow.container = replace(hollow.container, start_error="the hollow runtime was told to fail")
            raise EngineRefused(500, "the hollow runtime was told to fail")
        if hollow.container.running:
            return
        hollow.container = replace(
            hollow.container, running=True, started_at_ns=time.time_ns(), address="127.0.0.1", start_error=""
        )
        self._say(hollow, f"{hollow.container.name} started")
        self._tell(hollow, "start")
        run_seconds = hollow.container.labels.get(RUN_SECONDS)
        if hollow.image.startswith("hollow/crash"):
            run_seconds = "0"
        if run_seconds is not None:
            hollow.end = asyncio.get_running_loop().call_later(float(run_seconds), self._die, hollow, 1)

    async def stop(self, container_id: str, grace: int) -> None:
        hollow = self._containers.get(container_id)
        if hollow is not None and hollow.container.running:
            self._die(hollow, 0)

    async def restart(self, container_id: str, grace: int) -> None:
        await self.stop(container_id, grace)
        await self.start(container_id)

    async def remove(self, container_id: str, *, volumes: bool) -> None:
        await self.stop(container_id, 0)
        hollow = self._containers.pop(container_id, None)
        if hollow is not None:
            self._tell(hollow, "destroy")

    async def wait(self, container_id: str) -> int:
        await self.stop(container_id, 0)
        return 0

    async def execute(self, container_id: str, command: Sequence[str], output: Output) -> int:
        self._get(container_id)
        return 0

    async def events(self) -> AsyncIterator[ContainerEvent | Resync]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield Resync()
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    @asynccontextmanager
    async def logs(self, container_id: str, start: Position, *, follow: bool) -> AsyncIterator[AsyncIterator[Frame]]:
        yield self._frames(self._get(container_id), start, follow=follow)

    def close(self) -> None:
        for hollow in self._containers.values():
            if hollow.end is not None:
                hollow.end.cancel()

    async def _frames(self, hollow: _Hollow, start: Position, *, follow: bool) -> AsyncIterator[Frame]:
        sent = 0
        while True:
            hollow.changed.clear()
            fresh = hollow.frames[sent:]
            sent += len(fresh)
            for frame in fresh:
                if frame.time_ns >= start.since_ns:
                    yield frame
            if not fresh and (not follow or not hollow.container.running):
                return
            if not fresh:
                await hollow.changed.wait()

    def _get(self, container_id: str) -> _Hollow:
        try:
            return self._containers[container_id]
        except KeyError:
            raise EngineRefused(404, f"no such container: {container_id}") from None

    def _die(self, hollow: _Hollow, code: int) -> None:
        if hollow.end is not None:
            hollow.end.cancel()
            hollow.end = None
        hollow.container = replace(
            hollow.container, running=False, finished_at_ns=time.time_ns(), exit_code=code, address=""
        )
        hollow.changed.set()
        self._tell(hollow, "die")

    def _say(self, hollow: _Hollow, text: str) -> None:
        hollow.frames.append(Frame("stdout", time.time_ns(), text.encode(), complete=True))
        hollow.changed.set()

    def _tell(self, hollow: _Hollow, action: str) -> None:
        event = ContainerEvent(action, hollow.container.id, hollow.container.labels)
        for queue in self._listeners:
            queue.put_nowait(event)


def _networks(body: CreateBody) -> dict[str, Sequence[str]]:
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return {name: endpoint.get("Aliases") or () for name, endpoint in endpoints.items()}


def image_id(image: str) -> str:
    """The id that an image of this name has."""
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
