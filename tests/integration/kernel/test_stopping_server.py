"""A server that stops cuts off no answer that is on its way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import container_pb2, container_pb2_grpc
from services.kernel.server import Server
from tests.integration.kernel.bare_service import application

_ANSWER = b'[["done"],[],0]'


class Containers(container_pb2_grpc.ContainerServiceServicer):
    """Runs a command until it is told that it has ended."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def ExecContainer(self, request: Any, context: Any) -> AsyncIterator[HttpBody]:
        self.begun.set()
        await self.ended.wait()
        yield HttpBody(content_type="application/json", data=_ANSWER)


async def test_a_command_that_ends_in_that_moment_is_answered() -> None:
    containers = Containers()  # type: ignore[abstract]
    server = Server(application(containers), "127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = container_pb2_grpc.ContainerServiceStub(channel)
        answers = stub.ExecContainer(
            container_pb2.ExecContainerRequest(id="g/n/c"), metadata=(("authorization", "Bearer good"),)
        )
        await containers.begun.wait()
        # What `leave` waits for, and what comes after it.
        containers.ended.set()
        await asyncio.sleep(0)
        await server.stop(10)
        assert [answer.data async for answer in answers] == [_ANSWER]
        assert await answers.code() is grpc.StatusCode.OK
