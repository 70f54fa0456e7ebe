"""A node agent, as far as its session goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from kontena.grid.v1 import node_pb2, node_session_pb2_grpc
from kontena.grid.v1 import node_session_pb2 as pb
from services.kernel.cluster_token import ClusterTokens
from services.kernel.node_key import Statement
from services.kernel.principal import NodeSession
from services.kernel.version import VERSION
from tests.support.running import CLUSTER_SECRET


def engine_id(number: int) -> str:
    """An id like those of container engines."""
    return ":".join(f"{number:04d}" for _ in range(12))


class Agent:
    """One session. Messages of the master are read one by one."""

    def __init__(
        self, channel: grpc.aio.Channel, metadata: dict[str, str], key: Ed25519PrivateKey | None = None
    ) -> None:
        self.metadata = metadata
        self.key = key
        stub: Any = node_session_pb2_grpc.NodeSessionServiceStub(channel)
        self.call = stub.Connect(metadata=tuple(metadata.items()))
        self.welcome: Any = None

    async def hello(self, **fields: Any) -> Any:
        sent_at = Timestamp()
        sent_at.GetCurrentTime()
        given: dict[str, Any] = {
            "node_id": engine_id(1),
            "name": "one",
            "agent_version": VERSION,
            "sent_at": sent_at,
        } | fields
        if self.key is not None:
            given.setdefault("node_key", self.key.public_key().public_bytes_raw())
        hello = pb.Hello(**given)
        await self.call.write(pb.ConnectRequest(hello=hello))
        message = await self.read()
        if message.HasField("challenge"):
            await self.prove(self.sign(hello, message.challenge.nonce))
            message = await self.read()
        self.welcome = message.welcome
        return self.welcome

    def sign(self, hello: pb.Hello, nonce: bytes) -> bytes:
        tokens = (self.metadata.get("kontena-grid-token", ""), self.metadata.get("kontena-node-token", ""))
        statement = Statement(nonce, hello.node_id, hello.start_id, *tokens)
        return b"" if self.key is None else self.key.sign(statement.encode())

    async def prove(self, signature: bytes) -> None:
        await self.call.write(pb.ConnectRequest(proof=pb.KeyProof(signature=signature)))

    async def info(self, **fields: Any) -> None:
        await self.call.write(pb.ConnectRequest(info=pb.NodeInfo(**fields)))

    async def stats(self, **fields: Any) -> None:
        await self.call.write(pb.ConnectRequest(stats=node_pb2.ResourceUsage(**fields)))

    async def heartbeat(self) -> Any:
        await self.call.write(pb.ConnectRequest(heartbeat=pb.Heartbeat()))
        while True:
            message = await self.read()
            if message.HasField("heartbeat"):
                return message.heartbeat

    async def read(self) -> Any:
        async with asyncio.timeout(60):
            message = await self.call.read()
        if message is grpc.aio.EOF:
            # Raises the error that the stream ended with.
            async for _ in self.call:
                pass
            raise EOFError
        return message

    async def goodbye(self) -> None:
        await self.call.done_writing()
        async with asyncio.timeout(60):
            while await self.call.read() is not grpc.aio.EOF:
                pass

    def break_off(self) -> None:
        self.call.cancel()

    async def end(self) -> tuple[grpc.StatusCode, str, str]:
        """Code, reason and message that the session ends with."""
        try:
            while True:
                await self.read()
        except grpc.aio.AioRpcError as error:
            return error.code(), reason(error), error.details() or ""


def session_of(agent: Agent) -> NodeSession:
    """The session of an agent that is welcome."""
    return opened_by(agent.welcome)


def opened_by(welcome: pb.Welcome) -> NodeSession:
    """The session that a welcome opened."""
    session = ClusterTokens(CLUSTER_SECRET).verify_node(welcome.session_token).node
    assert session is not None
    return session


def reason(error: grpc.aio.AioRpcError) -> str:
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return str(info.reason)


@asynccontextmanager
async def joined(
    channel: grpc.aio.Channel, token: str, number: int = 1, key: Ed25519PrivateKey | None = None, **hello: Any
) -> AsyncIterator[Agent]:
    """An agent with an open session; the stream breaks at the end of the block, unless it ended before."""
    agent = Agent(channel, {"kontena-grid-token": token}, key)
    await agent.hello(node_id=engine_id(number), name=hello.pop("name", f"node-{number}"), **hello)
    try:
        yield agent
    finally:
        agent.break_off()
