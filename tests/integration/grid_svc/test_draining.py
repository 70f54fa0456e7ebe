"""A replica that stops ends its streams at once: agents and followers go elsewhere."""

import asyncio
from contextlib import suppress
from typing import Any

import grpc

from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from services.clients.nodes import NodeDirectory
from services.grid_svc.app import build
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.informer import Delete
from services.kernel.server import Server
from tests.integration.grid_svc.agents import Agent, joined
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running, service_metadata

GRID = "kontena-grid-token"


async def test_streams_end_at_once_and_the_agent_is_never_offline(
    grid_settings: MakeSettings, other_replica: Running, admin: Caller, token: str
) -> None:
    app = await build(grid_settings())
    server = Server(app, "127.0.0.1:0")
    async with app.supervisor, grpc.aio.insecure_channel(server.address) as channel:
        await server.start()
        agent = Agent(channel, {GRID: token})
        await agent.hello(name="node-1")
        stub: Any = watch_pb2_grpc.GridWatchServiceStub(channel)
        watch = stub.WatchNodes(watch_pb2.WatchNodesRequest(), metadata=service_metadata())
        assert (await watch.read()).upserted.name == "node-1"

        # Nobody waits for the grace.
        stopping = asyncio.create_task(server.stop(600))
        async with asyncio.timeout(60):
            code, why, _ = await agent.end()
            assert (code, why) == (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")
            assert await _code(watch) is grpc.StatusCode.UNAVAILABLE
            await stopping
        async with joined(other_replica.channel, token):
            shown = (await admin.node("alpha/node-1")).body
            assert (shown["connected"], "disconnected_at" in shown) == (True, False)
    await app.close()


async def test_a_watch_resumes_on_another_replica(
    grid_settings: MakeSettings, other_replica: Running, admin: Caller, token: str
) -> None:
    """What followers know stays there while they reconnect; what went away meanwhile goes, and nothing else."""
    app = await build(grid_settings())
    server = Server(app, "127.0.0.1:0")
    async with app.supervisor:
        await server.start()
        targets = ",".join((server.address, other_replica.address))
        channel = ServiceChannel(targets, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
        directory = NodeDirectory(channel)
        gone: list[str] = []
        directory.informer.on_change(lambda change: gone.append(change.key) if isinstance(change, Delete) else None)

        async def follow() -> None:
            while True:
                try:
                    await directory.informer.run()
                except (grpc.aio.AioRpcError, ConnectionError):
                    await asyncio.sleep(0.05)

        task = asyncio.create_task(follow())
        for name in ("one", "two", "three"):
            await admin.create_node("alpha", {"name": name})

        async def names() -> set[str]:
            return {node.name for node in (await directory.informer.items()).values()}

        async def three() -> bool:
            return await names() == {"one", "two", "three"}

        await eventually(three)
        two = next(key for key, node in (await directory.informer.items()).items() if node.name == "two")
        stopping = asyncio.create_task(server.stop(30))
        await admin.delete_node("alpha/two")
        await admin.create_node("alpha", {"name": "four"})

        async def caught_up() -> bool:
            assert {"one", "three"} <= await names()
            return await names() == {"one", "three", "four"}

        await eventually(caught_up)
        assert gone == [two]
        await stopping
        task.cancel()
        await channel.close()
    await app.close()


async def test_a_stopping_replica_refuses_new_streams(grid_settings: MakeSettings, token: str) -> None:
    app = await build(grid_settings())
    server = Server(app, "127.0.0.1:0")
    async with app.supervisor, grpc.aio.insecure_channel(server.address) as channel:
        await server.start()
        await server.stop(0)
        agent = Agent(channel, {GRID: token})
        error = await _error(agent)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    await app.close()


async def _code(call: Any) -> grpc.StatusCode:
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    code: grpc.StatusCode = await call.code()
    return code


async def _error(agent: Agent) -> grpc.aio.AioRpcError:
    try:
        await agent.hello()
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the stopped server answered")
