"""A server that stops under load costs the callers among the services nothing, whatever they call."""

import asyncio
from collections import Counter
from typing import Any

import grpc

from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import CLUSTER_SECRET

METHOD = "/test.Thing/Change"
TURNS = 15


class Replica:
    """A bare gRPC server with one method; `calls` counts what reached it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls = 0

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler: Any = grpc.unary_unary_rpc_method_handler(self._change)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Thing", {"Change": handler}),)
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(10)

    async def _change(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        return request


async def test_no_call_fails_while_a_replica_leaves_and_comes_back() -> None:
    """The method is not idempotent, so only calls that no handler saw are repeated."""
    stays, leaves = Replica(), Replica()
    await stays.start()
    await leaves.start()
    targets = f"127.0.0.1:{stays.port},127.0.0.1:{leaves.port}"
    channel = ServiceChannel(targets, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    change: Any = channel.stub(lambda found: found.unary_unary(METHOD))
    outcomes: Counter[str] = Counter()
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            try:
                await change(b"x")
                outcomes["ok"] += 1
            except grpc.aio.AioRpcError as error:
                outcomes[f"{error.code().name}: {error.details()}"] += 1

    async def more(seen: int) -> bool:
        return leaves.calls > seen

    async with asyncio.TaskGroup() as clients:
        for _ in range(8):
            clients.create_task(client())
        for _ in range(TURNS):
            seen = leaves.calls
            await eventually(lambda seen=seen: more(seen + 20), message="it gets its share")
            await leaves.stop()
            await leaves.start()
        stop.set()
    assert set(outcomes) == {"ok"}, outcomes
    assert outcomes["ok"] == stays.calls + leaves.calls, "each call was made once"
    await channel.close()
    await stays.stop()
    await leaves.stop()
