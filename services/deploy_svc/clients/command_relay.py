"""Commands for nodes that are attached to another replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc

from kontena.deploy.v1 import node_command_pb2 as pb
from kontena.deploy.v1 import node_command_pb2_grpc
from services.deploy_svc.convert.node_commands import ACCEPTED, answer_from_proto, order_to_proto
from services.deploy_svc.domain.node_command import Answer, FollowUp, Request
from services.deploy_svc.usecases.node_commands import Command
from services.kernel import call
from services.kernel.addresses import open_channel
from services.kernel.client import OPTIONS
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import STOPPING_HEADER, NotHere, Unavailable
from services.kernel.identity import Callee

_ACCEPT_SECONDS = 2.0
# What gRPC says when it had no connection on which to send the call; it has no other sign.
_NOT_SENT = "failed to connect to all addresses"
_LOST = "The part of the master that reaches the node of this container does not answer"


class CommandRelay:
    """One channel per replica, opened when it is first needed."""

    def __init__(self, tokens: ClusterTokens, caller: str, callee: Callee | None = None) -> None:
        self._tokens = tokens
        self._caller = caller
        self._callee = callee
        self._channels: dict[str, grpc.aio.Channel] = {}

    @asynccontextmanager
    async def open(self, address: str, node_id: str, request: Request) -> AsyncIterator[Command]:
        """Run a command through the replica at `address`; leaving the block cancels it. The call in progress has begun
        then. Raises NotHere when nothing was begun there."""
        if address not in self._channels:
            self._channels[address] = open_channel(address, OPTIONS, callee=self._callee)
        stub: Any = node_command_pb2_grpc.CommandRelayServiceStub(self._channels[address])
        metadata = [("authorization", f"Bearer {self._tokens.for_service(self._caller)}")]
        if call.current().request_id:
            metadata.append(("x-request-id", call.current().request_id))
        stream = stub.RelayCommand(metadata=tuple(metadata))
        try:
            command = _RelayedCommand(stream)
            await command.begin(node_id, request)
            yield command
        finally:
            stream.cancel()

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


class _RelayedCommand:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def begin(self, node_id: str, request: Request) -> None:
        """Returns once the node has got the command. What else became of it, reading the answers raises."""
        call.current().begun = True
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._stream.write(pb.RelayCommandRequest(node_id=node_id, command=order_to_proto("", request)))
        # A replica of the release before says nothing until there is output.
        with suppress(TimeoutError):
            async with asyncio.timeout(_ACCEPT_SECONDS):
                if not await self._accepted() and await self._not_begun():
                    call.current().begun = False
                    raise NotHere(_LOST)

    async def _accepted(self) -> bool:
        return ACCEPTED in dict(await self._stream.initial_metadata() or ())

    async def _not_begun(self) -> bool:
        """Waits for the end of the call."""
        match await self._stream.code():
            case grpc.StatusCode.CANCELLED:
                # Taken off the wire by a server that stops, and given to nobody.
                return True
            case grpc.StatusCode.UNAVAILABLE:
                trailers = dict(await self._stream.trailing_metadata() or ())
                return STOPPING_HEADER in trailers or _NOT_SENT in (await self._stream.details() or "")
        return False

    async def send(self, item: FollowUp) -> None:
        await self._write(pb.RelayCommandRequest(command=order_to_proto("", item)))

    async def answers(self) -> AsyncIterator[Answer]:
        # Not `read`, which forgets answers that arrived once writing failed, as it does when a program ends early.
        try:
            async for message in self._stream:
                answer = answer_from_proto(message)
                if answer is not None:
                    yield answer
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error

    async def _write(self, message: pb.RelayCommandRequest) -> None:
        try:
            await self._stream.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            # What went wrong is what reading the answers raises.
            if isinstance(error, grpc.aio.AioRpcError):
                raise _translated(error) from error


def _translated(error: grpc.aio.AioRpcError) -> Exception:
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return error
    ours = any(key == "x-error-json" for key, _ in error.trailing_metadata() or ())
    return Unavailable(error.details() or _LOST) if ours else Unavailable(_LOST)
