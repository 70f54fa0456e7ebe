"""What a node tells of itself is cut to a size that everybody can carry, whatever it sends."""

from typing import Any

import grpc
import pytest

from kontena.grid.v1 import node_pb2, watch_pb2, watch_pb2_grpc
from tests.integration.grid_svc.agents import Agent, engine_id, joined
from tests.integration.grid_svc.caller import Caller
from tests.support.eventually import eventually
from tests.support.running import Running, service_metadata

LONG = "x" * 1000


async def records(grid: Running) -> list[Any]:
    """The nodes as another service gets them when it connects."""
    stub: Any = watch_pb2_grpc.GridWatchServiceStub(grid.channel)
    call = stub.WatchNodes(watch_pb2.WatchNodesRequest(), metadata=service_metadata())
    found = []
    async for event in call:
        if event.HasField("synced"):
            call.cancel()
            break
        found.append(event.upserted)
    return found


async def test_a_node_of_megabytes_is_a_node_like_others(grid: Running, token: str) -> None:
    labels = [f"label-{number}={LONG}" for number in range(50)]
    async with joined(grid.channel, token, labels=labels) as agent, joined(grid.channel, token, 2):
        await agent.info(public_ip=LONG, private_ip="10.0.0.1", os=LONG * 10, labels=labels)
        driver = node_pb2.Driver(name=LONG, version=LONG)
        await agent.info(volume_drivers=[driver] * 20, private_ip="10.0.0.1", public_ip="not an address")

        async def told() -> Any:
            return (
                {node.name: node for node in await records(grid)}
                if any(node.private_ip == "10.0.0.1" for node in await records(grid))
                else None
            )

        found = await eventually(told)
        assert set(found) == {"node-1", "node-2"}
        assert found["node-1"].ByteSize() < 100_000
        assert found["node-1"].public_ip == ""
        assert max(map(len, found["node-1"].labels)) == 255


@pytest.mark.parametrize(
    "message",
    [{"info": {"labels": ["x" * 600_000]}}, {"stats": {"filesystem": [node_pb2.FilesystemUsage(name="x" * 600_000)]}}],
    ids=["info", "stats"],
)
async def test_a_message_that_is_too_large_ends_the_session(grid: Running, token: str, message: Any) -> None:
    async with joined(grid.channel, token) as agent:
        ((kind, fields),) = message.items()
        await getattr(agent, kind)(**fields)
        code, reason, _ = await agent.end()
        assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")


async def test_a_hello_with_very_many_labels_keeps_the_first(grid: Running, token: str) -> None:
    async with joined(grid.channel, token, labels=[f"l{number}" for number in range(5000)]) as agent:
        assert list(agent.welcome.node.labels) == [f"l{number}" for number in range(64)]


async def test_an_engine_id_is_refused_and_not_cut(grid: Running, token: str) -> None:
    agent = Agent(grid.channel, {"kontena-grid-token": token})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.hello(node_id=engine_id(1) + "x" * 300)
    assert "Missing Kontena-Node-ID" in str(caught.value.details())


async def test_lists_that_users_give_are_bounded_too(admin: Caller, token: str) -> None:
    many = await admin.update_grid("alpha", {"default_affinity": ["label==x"] * 101})
    assert (many.status, many.body["error"]) == (
        422, {"default_affinity": "Default Affinity has too many elements (maximum is 100)"},
    )  # fmt: skip
    long = await admin.update_grid("alpha", {"logs": {"forwarder": "fluentd", "opts": {"fluentd-address": "x" * 2000}}})
    assert long.status == 422
    assert "too long" in long.body["error"]["logs"]["opts"]
