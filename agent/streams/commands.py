"""What the master asks of this node at once: protos/kontena/deploy/v1/node_command.proto."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc

from agent.domain import labels
from agent.domain.container_report import without_secrets
from agent.domain.errors import AgentError, EngineRefused
from agent.runtime.inspection import Execution
from agent.runtime.ports import Runtime
from agent.state import State
from agent.streams.calls import StreamEnded, until_first, write
from agent.streams.container_reporter import hidden_names
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import node_command_pb2 as pb
from kontena.deploy.v1 import node_command_pb2_grpc
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Output that the master has not confirmed, in bytes and in messages; the program waits when there is more.
_WINDOW = 256 * 1024
_MOST_MESSAGES = 1024
_PIECE = 32 * 1024
# Bytes of input that wait for their program. The master keeps to a window far below.
_MOST_INPUT = 1024 * 1024
_MESSAGE_WEIGHT = 256
_END_SECONDS = 2.0
_NOT_FOUND = 404
_CONFLICT = 409

_UNKNOWN = pb.CommandError(kind="refused", message="the agent of this node does not know this command; update it")

_BEGIN = ("exec", "inspect", "top", "remove_volume")
_Send = Callable[[pb.NodeCommandEvent], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class _Running:
    """A command under way."""

    task: "asyncio.Task[None] | None" = None
    inputs: "asyncio.Queue[pb.NodeCommand]" = field(default_factory=asyncio.Queue)
    # Bytes in `inputs`; bytes and messages of output that the master has not confirmed.
    waiting: int = 0
    unread: int = 0
    messages: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    flooded: bool = False


class NodeCommands:
    """Keeps the stream of commands open. When it breaks, the commands under way end."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership, runtime: Runtime, state: State) -> None:
        self._stub: Any = node_command_pb2_grpc.NodeCommandServiceStub(channel)
        self._membership = membership
        self._runtime = runtime
        self._state = state

    async def run(self) -> None:
        """Never returns."""
        await keep_trying("commands", self._membership, self._attach)

    async def _attach(self, joined: Joined) -> None:
        call: Any = self._stub.AttachCommands(metadata=joined.metadata)
        running: dict[str, _Running] = {}
        try:
            await until_first(self._receive(call, running), self._membership.superseded(joined.epoch))
        finally:
            call.cancel()
            tasks = [command.task for command in running.values() if command.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                # Their programs are ended meanwhile; a slow engine must not keep the node from its next stream.
                await asyncio.wait(tasks, timeout=_END_SECONDS)

    async def _receive(self, call: Any, running: dict[str, _Running]) -> None:
        lock = asyncio.Lock()

        async def write_alone(event: pb.NodeCommandEvent) -> None:
            async with lock:
                await write(call, event)

        async def send(event: pb.NodeCommandEvent) -> None:
            # A cancelled write ends the call, and with it the commands of everybody else.
            await asyncio.shield(write_alone(event))

        while True:
            message = await call.read()
            if message is grpc.aio.EOF:
                raise StreamEnded("the master ended the command stream")
            kind = message.WhichOneof("message")
            if kind in _BEGIN:
                command = running[message.id] = _Running()
                command.task = asyncio.create_task(self._run(message, kind, command, send))
                command.task.add_done_callback(partial(_forget, running, message.id))
            elif message.id in running:
                self._pass_on(running[message.id], kind, message)
            elif kind is None:
                # A newer master asks for something that came after this release.
                await send(pb.NodeCommandEvent(id=message.id, error=_UNKNOWN))

    def _pass_on(self, command: _Running, kind: str | None, message: pb.NodeCommand) -> None:
        if kind == "cancel" and command.task is not None:
            command.task.cancel()
        elif kind == "read":
            command.unread -= message.read.size
            command.messages -= 1
            command.room.set()
        elif kind in ("input", "size"):
            if command.waiting + _weight(message) <= _MOST_INPUT:
                command.waiting += _weight(message)
                command.inputs.put_nowait(message)
            elif kind == "input" and command.task is not None:
                # More than the master may send; nobody may fill our memory.
                command.flooded = True
                command.task.cancel()

    async def _run(self, message: pb.NodeCommand, kind: str, command: _Running, send: _Send) -> None:
        try:
            last = await self._answer(message, kind, command, send)
        except EngineRefused as error:
            failure = "not_found" if error.status == _NOT_FOUND else "refused"
            last = pb.NodeCommandEvent(error=pb.CommandError(kind=failure, message=str(error)[:1000]))
        except AgentError as error:
            last = pb.NodeCommandEvent(error=pb.CommandError(kind="unavailable", message=str(error)[:1000]))
        except (grpc.aio.AioRpcError, StreamEnded):
            return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not command.flooded or task is None:
                raise
            task.uncancel()
            last = pb.NodeCommandEvent(error=pb.CommandError(kind="refused", message="more input than was asked for"))
        except Exception as error:
            log.error("command failed", kind=kind, exc_info=error)
            last = pb.NodeCommandEvent(error=pb.CommandError(kind="unavailable", message="internal error of the agent"))
        last.id = message.id
        try:
            await send(last)
        except (grpc.aio.AioRpcError, OSError):
            return

    async def _answer(self, message: pb.NodeCommand, kind: str, command: _Running, send: _Send) -> pb.NodeCommandEvent:
        wanted = getattr(message, kind)
        if kind == "remove_volume":
            self._require_unassigned(wanted.name)
            await self._runtime.volumes.remove(wanted.name, self._state.node_ids)
            return pb.NodeCommandEvent(result=pb.CommandResult(json="{}"))
        shown = await self._runtime.inspection.describe(wanted.container_id)
        tags = {} if shown is None else (shown.get("Config") or {}).get("Labels") or {}
        if shown is None or not labels.is_ours(tags, self._state.node_ids):
            raise EngineRefused(_NOT_FOUND, "no such container")
        if kind == "inspect":
            document: Any = without_secrets(shown, hidden_names(self._state, tags))
            return pb.NodeCommandEvent(result=pb.CommandResult(json=json.dumps(document)))
        if kind == "top":
            document = await self._runtime.inspection.processes(wanted.container_id)
            return pb.NodeCommandEvent(result=pb.CommandResult(json=json.dumps(document)))
        code = await self._execute(message, command, send)
        return pb.NodeCommandEvent(exit=pb.ExecExit(code=code))

    def _require_unassigned(self, volume: str) -> None:
        """Between two containers of an instance the engine would let its volume go, with the data."""
        for assignment in self._state.assignments.values():
            if any(volume == mounted.name for mounted in assignment.pod.volumes):
                raise EngineRefused(_CONFLICT, f"volume {volume} belongs to an instance that is assigned to this node")

    async def _execute(self, message: pb.NodeCommand, command: _Running, send: _Send) -> int:
        wanted = message.exec
        execute = self._runtime.inspection.execute
        async with execute(wanted.container_id, wanted.cmd, stdin=wanted.stdin, tty=wanted.tty) as execution:
            feeding = asyncio.create_task(_feed(execution, command, partial(_confirm, message.id, send)))
            try:
                while (read := await execution.read()) is not None:
                    stream, data = read
                    for start in range(0, len(data), _PIECE):
                        await _room(command)
                        piece = data[start : start + _PIECE]
                        command.unread += len(piece)
                        command.messages += 1
                        await send(pb.NodeCommandEvent(id=message.id, output=pb.ExecOutput(stream=stream, data=piece)))
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            return await execution.exit_code()


def _forget(running: dict[str, _Running], command_id: str, _task: "asyncio.Task[None]") -> None:
    running.pop(command_id, None)


async def _room(command: _Running) -> None:
    while command.unread >= _WINDOW or command.messages >= _MOST_MESSAGES:
        command.room.clear()
        await command.room.wait()


async def _confirm(command_id: str, send: _Send, read: int) -> None:
    await send(pb.NodeCommandEvent(id=command_id, read=pb.ReadInput(size=read)))


def _weight(message: pb.NodeCommand) -> int:
    return len(message.input.data) + _MESSAGE_WEIGHT


async def _feed(execution: Execution, command: _Running, confirm: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    while True:
        message = await command.inputs.get()
        command.waiting -= _weight(message)
        try:
            if message.WhichOneof("message") == "size":
                await execution.resize(message.size.width, message.size.height)
                continue
            if message.input.data:
                await execution.write(message.input.data)
            if message.input.end:
                await execution.end_input()
        except (AgentError, OSError, RuntimeError) as error:
            log.info("input not passed on", cause=repr(error)[:300])
        # Also of what the program did not take: who sends must get on, to hear how it ended.
        await confirm(_weight(message))
