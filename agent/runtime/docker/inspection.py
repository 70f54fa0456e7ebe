"""Looking into containers of the Docker Engine and running commands in them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiodocker.execs import Exec
from aiodocker.stream import Stream

from agent.domain.labels import NODE_ID
from agent.runtime.docker.engine import Engine
from agent.runtime.docker.json_lines import json_lines
from agent.runtime.inspection import Execution
from services.kernel.logs import get_logger

log = get_logger(__name__)

_CHANGES = ("create", "start", "die", "destroy", "pause", "unpause", "rename", "oom", "update")
_STREAMS = {2: "stderr"}
# How long the engine may take to know what became of a program.
_SETTLE_SECONDS, _LOOK_AGAIN_SECONDS = 10.0, 0.05


class DockerInspection:
    """See agent.runtime.inspection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def changes(self) -> AsyncIterator[str | None]:
        filters = json.dumps({"type": ["container"], "event": _CHANGES, "label": [NODE_ID]})
        async with self._engine.opened("events", {"filters": filters}) as response:
            yield None
            async for data in json_lines(response):
                yield str(data["Actor"]["ID"])

    async def describe(self, container_id: str) -> dict[str, Any] | None:
        return await self._engine.show(lambda docker: docker._query_json(f"containers/{container_id}/json"))

    async def processes(self, container_id: str) -> list[dict[str, str]]:
        async with self._engine.call() as docker:
            shown = await docker._query_json(f"containers/{container_id}/top")
        titles = shown.get("Titles") or []
        return [dict(zip(titles, process, strict=False)) for process in shown.get("Processes") or []]

    async def usage(self, container_id: str) -> Mapping[str, Any] | None:
        params = {"stream": "0", "one-shot": "1"}
        path = f"containers/{container_id}/stats"
        return await self._engine.show(lambda docker: docker._query_json(path, params=params))

    @asynccontextmanager
    async def execute(
        self, container_id: str, cmd: Sequence[str], *, stdin: bool, tty: bool
    ) -> AsyncIterator[Execution]:
        # Whoever runs this may be cancelled at any time, and what the engine has begun to start cannot be taken back:
        # it is waited for, and then ended.
        starting = asyncio.create_task(self._start(container_id, cmd, stdin=stdin, tty=tty))
        try:
            yield await asyncio.shield(starting)
        finally:
            await asyncio.shield(self._end(starting, container_id))

    async def _start(self, container_id: str, cmd: Sequence[str], *, stdin: bool, tty: bool) -> "_DockerExecution":
        async with self._engine.call() as docker:
            container = docker.containers.container(container_id)
            made = await container.exec(list(cmd), stdout=True, stderr=True, stdin=stdin, tty=tty)
        async with self._engine.call():
            stream = made.start(detach=False)
            await stream._init()
        return _DockerExecution(self._engine, made, stream)

    async def _end(self, starting: "asyncio.Task[_DockerExecution]", container_id: str) -> None:
        """A program that nobody listens to must not go on."""
        if not await _succeeded(starting):
            return
        execution = starting.result()
        try:
            if pid := await execution.end():
                _kill(pid, container_id)
        except Exception as error:
            log.info("exec not ended", container=container_id[:12], cause=repr(error)[:300])


async def _succeeded(task: "asyncio.Task[_DockerExecution]") -> bool:
    await asyncio.wait([task])
    return not task.cancelled() and task.exception() is None


def _kill(pid: int, container_id: str) -> None:
    """End a process of the container: the engine has no call for that. Only where its processes can be seen."""
    try:
        if pid > 1 and container_id in Path(f"/proc/{pid}/cgroup").read_text():
            os.kill(pid, signal.SIGKILL)
    except OSError as error:
        log.info("exec not killed", container=container_id[:12], pid=pid, cause=repr(error))


class _DockerExecution:
    def __init__(self, engine: Engine, made: Exec, stream: Stream) -> None:
        self._engine = engine
        self._made = made
        self._stream = stream

    async def read(self) -> tuple[str, bytes] | None:
        message = await self._stream.read_out()
        return None if message is None else (_STREAMS.get(message.stream, "stdout"), message.data)

    async def write(self, data: bytes) -> None:
        await self._stream.write_in(data)

    async def end_input(self) -> None:
        # aiodocker closes its reading side as well; only the writing side is to end.
        response = self._stream._resp
        transport = None if response is None or response.connection is None else response.connection.transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    async def resize(self, width: int, height: int) -> None:
        async with self._engine.call():
            await self._made.resize(h=height, w=width)

    async def end(self) -> int:
        """Stop listening. The program's process id when it still runs, else 0."""
        await self._stream.close()
        shown = await self._shown_when(lambda shown: _ended(shown) or bool(shown.get("Pid")))
        return 0 if _ended(shown) else int(shown.get("Pid") or 0)

    async def exit_code(self) -> int:
        shown = await self._shown_when(_ended)
        code = shown.get("ExitCode")
        return int(code) if code is not None else -1

    async def _shown_when(self, fact: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The engine's description, once the fact is true of it or a while has passed: the connection may be there
        before the program, and gone before the engine knows how that ended."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + _SETTLE_SECONDS
        while True:
            async with self._engine.call():
                shown: dict[str, Any] = await self._made.inspect()
            if fact(shown) or clock() > give_up:
                return shown
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _ended(shown: dict[str, Any]) -> bool:
    return not shown.get("Running") and shown.get("ExitCode") is not None
