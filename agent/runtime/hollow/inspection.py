"""Looking into containers that are only records: commands echo their words."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from agent.domain.errors import EngineRefused
from agent.runtime.hollow.containers import HollowContainers
from agent.runtime.inspection import Execution
from agent.runtime.ports import Container, ContainerEvent


class HollowInspection:
    """See agent.runtime.inspection."""

    def __init__(self, containers: HollowContainers) -> None:
        self._containers = containers

    async def changes(self) -> AsyncIterator[str | None]:
        async for event in self._containers.events():
            yield event.container_id if isinstance(event, ContainerEvent) else None

    async def describe(self, container_id: str) -> dict[str, Any] | None:
        container = await self._containers.inspect(container_id)
        return None if container is None else _shown(container, self._containers.body(container_id))

    async def processes(self, container_id: str) -> list[dict[str, str]]:
        await self._running(container_id)
        return [{"PID": "1", "CMD": "hollow"}]

    async def usage(self, container_id: str) -> Mapping[str, Any] | None:
        return None

    @asynccontextmanager
    async def execute(
        self, container_id: str, cmd: Sequence[str], *, stdin: bool, tty: bool
    ) -> AsyncIterator[Execution]:
        await self._running(container_id)
        yield _Echo(" ".join(cmd), stdin=stdin)

    async def _running(self, container_id: str) -> None:
        container = await self._containers.inspect(container_id)
        if container is None:
            raise EngineRefused(404, f"no such container: {container_id}")
        if not container.running:
            raise EngineRefused(409, f"container {container_id} is not running")


class _Echo:
    """Says its words, then its input."""

    def __init__(self, words: str, *, stdin: bool) -> None:
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._said.put_nowait(f"{words}\n".encode())
        if not stdin:
            self._said.put_nowait(None)

    async def read(self) -> tuple[str, bytes] | None:
        data = await self._said.get()
        return None if data is None else ("stdout", data)

    async def write(self, data: bytes) -> None:
        self._said.put_nowait(data)

    async def end_input(self) -> None:
        self._said.put_nowait(None)

    async def resize(self, width: int, height: int) -> None:
        return

    async def exit_code(self) -> int:
        return 0


def _shown(container: Container, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Image": container.image_id,
        "Created": _time(time.time_ns()),
        "Config": {
            "Image": body.get("Image", ""),
            "Env": list(body.get("Env") or ()),
            "Cmd": list(body.get("Cmd") or ()),
            "Hostname": body.get("Hostname", ""),
            "Domainname": body.get("Domainname", ""),
            "Labels": dict(container.labels),
        },
        "State": {
            "Running": container.running,
            "Restarting": container.restarting,
            "ExitCode": container.exit_code,
            "Error": container.start_error,
            "StartedAt": _time(container.started_at_ns),
            "FinishedAt": _time(container.finished_at_ns),
        },
        "NetworkSettings": {"IPAddress": container.address},
    }


def _time(nanoseconds: int) -> str:
    """The engine writes a year 1 for never."""
    if not nanoseconds:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
