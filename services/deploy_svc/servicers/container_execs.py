"""ContainerExecService: decode, pass on, encode."""

import asyncio
from collections.abc import AsyncIterator

from kontena.deploy.v1 import container_exec_pb2 as pb
from kontena.deploy.v1 import node_command_pb2 as command_pb
from kontena.deploy.v1.container_exec_pb2_grpc import ContainerExecServiceServicer
from services.deploy_svc.convert.node_commands import output_to_proto
from services.deploy_svc.domain.node_command import Exit, Input, Size, with_shell
from services.deploy_svc.usecases.container_commands import ContainerCommands, output_of
from services.deploy_svc.usecases.node_commands import Command
from services.kernel.call import principal
from services.kernel.errors import InvalidRequest
from services.kernel.methods import Context

Requests = AsyncIterator[pb.AttachExecRequest]


class ContainerExecServicer(ContainerExecServiceServicer):
    def __init__(self, commands: ContainerCommands) -> None:
        self._commands = commands

    async def AttachExec(self, request_iterator: Requests, context: Context) -> AsyncIterator[pb.AttachExecResponse]:
        await context.send_initial_metadata((("x-accepted", "1"),))
        start = (await _next(request_iterator, "start")).start
        run = await self._commands.prepare(principal(), start.id, "exec_interactive")
        yield pb.AttachExecResponse(ready=pb.ExecReady())
        words = tuple((await _next(request_iterator, "cmd")).cmd.cmd)
        if not words or not words[0]:
            raise InvalidRequest("cmd is empty")
        cmd = with_shell(words) if start.shell else words
        async with run(cmd, stdin=start.interactive, tty=start.tty) as command:
            feeding = asyncio.create_task(_feed(request_iterator, command))
            try:
                async for answer in command.answers():
                    if isinstance(answer, Exit):
                        yield pb.AttachExecResponse(exit=command_pb.ExecExit(code=answer.code))
                        return
                    yield pb.AttachExecResponse(output=output_to_proto(output_of(answer)))
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)


async def _next(requests: Requests, kind: str) -> pb.AttachExecRequest:
    request = await anext(requests, None)
    if request is None or request.WhichOneof("message") != kind:
        raise InvalidRequest(f"{kind} is expected")
    return request


async def _feed(requests: Requests, command: Command) -> None:
    async for request in requests:
        match request.WhichOneof("message"):
            case "input":
                await command.send(Input(request.input.data, request.input.end))
            case "size":
                await command.send(Size(request.size.width, request.size.height))
