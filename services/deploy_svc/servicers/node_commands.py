"""NodeCommandService and CommandRelayService: decode, pass on, encode."""

import asyncio
from collections.abc import AsyncIterator

from kontena.deploy.v1 import node_command_pb2 as pb
from kontena.deploy.v1.node_command_pb2_grpc import CommandRelayServiceServicer, NodeCommandServiceServicer
from services.deploy_svc.convert import node_commands as convert
from services.deploy_svc.domain.node_command import Event
from services.deploy_svc.usecases.node_commands import Command, NodeCommands
from services.kernel.call import node_session
from services.kernel.errors import InvalidRequest
from services.kernel.methods import Context


class NodeCommandServicer(NodeCommandServiceServicer):
    def __init__(self, commands: NodeCommands) -> None:
        self._commands = commands

    async def AttachCommands(
        self, request_iterator: AsyncIterator[pb.NodeCommandEvent], context: Context
    ) -> AsyncIterator[pb.NodeCommand]:
        session = node_session()
        async for command_id, order in self._commands.attach(session, _events(request_iterator)):
            yield convert.order_to_proto(command_id, order)


class CommandRelayServicer(CommandRelayServiceServicer):
    def __init__(self, commands: NodeCommands) -> None:
        self._commands = commands

    async def RelayCommand(
        self, request_iterator: AsyncIterator[pb.RelayCommandRequest], context: Context
    ) -> AsyncIterator[pb.NodeCommandEvent]:
        first = await anext(request_iterator, None)
        if first is None:
            raise InvalidRequest("no command")
        request = convert.request_from_proto(first.command)
        async with self._commands.open_here(first.node_id, request) as command:
            await context.send_initial_metadata(((convert.ACCEPTED, "1"),))
            feeding = asyncio.create_task(_feed(request_iterator, command))
            try:
                async for answer in command.answers():
                    yield convert.answer_to_proto(answer)
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)


async def _events(messages: AsyncIterator[pb.NodeCommandEvent]) -> AsyncIterator[tuple[str, Event]]:
    async for message in messages:
        event = convert.event_from_proto(message)
        if event is not None:
            yield message.id, event


async def _feed(requests: AsyncIterator[pb.RelayCommandRequest], command: Command) -> None:
    async for request in requests:
        item = convert.follow_up_from_proto(request.command)
        if item is not None:
            await command.send(item)
