"""Inspect, top and exec: what only the node of a container can answer (docs/spec/deploy_rest.md section 10.2)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from services.deploy_svc.domain.node_command import Answer, Exec, Exit, Inspect, Output, Top
from services.deploy_svc.store import tables
from services.deploy_svc.usecases.container_paths import ContainerAccess, resource
from services.deploy_svc.usecases.host_access import HostAccess, deployed
from services.deploy_svc.usecases.node_commands import Command, NodeCommands, refuse
from services.kernel import audit, call
from services.kernel.db import Database
from services.kernel.errors import Unavailable, ValidationFailed
from services.kernel.principal import Principal

_LOOK_SECONDS = 20.0
_EXEC_SECONDS = 300.0
_MOST_OUTPUT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, in pieces as they came, and its exit code."""

    stdout: Sequence[bytes]
    stderr: Sequence[bytes]
    code: int


class ContainerCommands:
    """The use cases. Raises Unavailable when the node is gone or does not answer in time."""

    def __init__(self, db: Database, access: ContainerAccess, commands: NodeCommands, hosts: HostAccess) -> None:
        self._db = db
        self._access = access
        self._commands = commands
        self._hosts = hosts

    async def inspect(self, principal: Principal, path: str) -> str:
        """The engine's description as JSON, without the values of secrets."""
        grid, node, container = await self._access.readable(principal, path)
        async with self._db.transaction() as tx:
            await audit.record(tx, tables.outbox, "inspect", resource(grid, node, container))
        return await self._commands.ask(node.id, Inspect(container.container_id), _LOOK_SECONDS)

    async def top(self, principal: Principal, path: str) -> str:
        """The processes as a JSON array."""
        _, node, container = await self._access.readable(principal, path)
        return await self._commands.ask(node.id, Top(container.container_id), _LOOK_SECONDS)

    async def exec(self, principal: Principal, path: str, cmd: Sequence[str]) -> Outcome:
        """Run a command to its end. Raises ValidationFailed without one, or when it prints too much."""
        started = await self.prepare(principal, path, "exec")
        if not cmd or not cmd[0]:
            raise ValidationFailed({"cmd": "Cmd is required"})
        printed: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        size = 0
        try:
            async with asyncio.timeout(_EXEC_SECONDS), started(tuple(cmd)) as command:
                async for answer in command.answers():
                    if isinstance(answer, Exit):
                        return Outcome(printed["stdout"], printed["stderr"], answer.code)
                    output = output_of(answer)
                    printed[output.stream].append(output.data)
                    size += len(output.data)
                    if size > _MOST_OUTPUT:
                        raise ValidationFailed({"cmd": f"Cmd printed more than {_MOST_OUTPUT >> 20} MiB"})
        except TimeoutError:
            raise Unavailable(f"The command did not end within {_EXEC_SECONDS:.0f} s") from None
        raise Unavailable("The node ended the command without a result")

    async def prepare(
        self, principal: Principal, path: str, event: str
    ) -> Callable[..., AbstractAsyncContextManager[Command]]:
        """Check that the caller may run commands in the container, and record it. What is returned runs one:
        called with the words, `stdin` and `tty` it gives the block in which the command lives. From now on a 503 says
        whether the command may have run."""
        grid, node, container = await self._access.changeable(principal, path)
        async with self._db.transaction() as tx:
            self._hosts.check_container(principal, grid, await deployed(tx, grid.id, container.service_id))
            await audit.record(tx, tables.outbox, event, resource(grid, node, container))
        call.current().fates = ("Nothing was started", "The command may have run")

        @asynccontextmanager
        async def run(cmd: tuple[str, ...], *, stdin: bool = False, tty: bool = False) -> AsyncIterator[Command]:
            request = Exec(container.container_id, cmd, stdin, tty)
            async with self._commands.open(node.id, request) as command:
                yield command

        return run


def output_of(answer: Answer) -> Output:
    """The output that the answer is. Raises what a failed command means."""
    if not isinstance(answer, Output):
        refuse(answer)
    return answer
