import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from kontena.grid.v1 import node_session_pb2 as pb
from services.kernel.cluster_token import ClusterTokens
from services.kernel.version import VERSION, window
from tests.integration.grid_svc.agents import Agent, engine_id, joined, reason
from tests.integration.grid_svc.caller import Caller
from tests.support.running import CLUSTER_SECRET, Running

GRID = "kontena-grid-token"
NODE = "kontena-node-token"
GridId = Callable[[str], Awaitable[str]]


async def refused(channel: grpc.aio.Channel, metadata: dict[str, str], **hello: Any) -> tuple[Any, str, str]:
    agent = Agent(channel, metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.hello(**hello)
    return caught.value.code(), reason(caught.value), caught.value.details() or ""


@pytest.mark.parametrize(
    ("metadata", "hello", "code", "why", "message"),
    [
        ({}, {}, "UNAUTHENTICATED", "MISSING_TOKEN", "Missing token"),
        ({GRID: "wrong"}, {}, "UNAUTHENTICATED", "INVALID_GRID_TOKEN", "Invalid grid token"),
        ({NODE: "any"}, {}, "UNAUTHENTICATED", "INVALID_NODE_TOKEN", "Invalid node token"),
        ({GRID: "wrong", NODE: "any"}, {}, "UNAUTHENTICATED", "INVALID_GRID_TOKEN", "Invalid grid token"),
        (
            {GRID: "good-token-of-the-grid"},
            {"node_id": " "},
            "INVALID_ARGUMENT",
            "MISSING_NODE_ID",
            "Missing Kontena-Node-ID",
        ),
        (
            {GRID: "good-token-of-the-grid"},
            {"node_id": "x" * 300},
            "INVALID_ARGUMENT",
            "MISSING_NODE_ID",
            "Missing Kontena-Node-ID",
        ),
        (
            {GRID: "good-token-of-the-grid"},
            {"name": "/"},
            "INVALID_ARGUMENT",
            "MISSING_NODE_ID",
            "Missing Kontena-Node-Name",
        ),
        (
            {GRID: "good-token-of-the-grid"},
            {"agent_version": "1.4.9", "node_id": ""},
            "FAILED_PRECONDITION",
            "VERSION_MISMATCH",
            f"agent version 1.4.9 is not compatible with server version {VERSION}, which takes agents of {window()}",
        ),
    ],
)
async def test_refused_joins(
    grid: Running, admin: Caller, metadata: dict[str, str], hello: dict[str, Any], code: str, why: str, message: str
) -> None:
    await admin.create_grid({"name": "alpha", "token": "good-token-of-the-grid"})
    assert await refused(grid.channel, metadata, **hello) == (grpc.StatusCode[code], why, message)
    assert (await admin.nodes("alpha")).body == {"nodes": []}


async def test_welcome(grid: Running, token: str, grid_id: GridId) -> None:
    sent_at = Timestamp()
    sent_at.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    async with joined(
        grid.channel, token, 7, name="web", labels=["a=b"], agent_version="1.6.9", sent_at=sent_at
    ) as agent:
        welcome = agent.welcome
        node = welcome.node
        assert (node.name, node.node_number, node.overlay_ip) == ("web", 1, "10.81.0.1")
        assert (node.grid, node.subnet, node.supernet) == ("alpha", "10.81.0.0/16", "10.80.0.0/12")
        assert (node.grid_id, list(node.labels), list(node.peer_ips)) == (await grid_id("alpha"), ["a=b"], [])
        # A wrong clock is told, not refused.
        assert abs(welcome.clock_skew.ToTimedelta() + timedelta(hours=1)) < timedelta(seconds=30)
        assert 4.5 <= welcome.heartbeat_period.ToTimedelta().total_seconds() <= 5.5
        session = ClusterTokens(CLUSTER_SECRET).verify_node(welcome.session_token).node
        assert session is not None
        assert (session.grid_id, session.node_id, session.number) == (node.grid_id, node.id, 1)
        reply = await agent.heartbeat()
        assert 4.5 <= reply.heartbeat_period.ToTimedelta().total_seconds() <= 5.5
        assert reply.session_token == ""


async def test_a_known_machine_keeps_name_number_and_labels(grid: Running, token: str) -> None:
    async with joined(grid.channel, token, 1, name="web", labels=["a=b"]) as first:
        await first.goodbye()
    async with joined(grid.channel, token, 1, name="other", labels=["c=d"], agent_version="1.7.1") as second:
        node = second.welcome.node
        assert (node.id, node.name, node.node_number) == (first.welcome.node.id, "web", 1)
        assert list(node.labels) == ["a=b"]
        session = ClusterTokens(CLUSTER_SECRET).verify_node(second.welcome.session_token).node
        assert session is not None
        assert session.number == 2


async def test_a_taken_name_gets_a_suffix(grid: Running, token: str) -> None:
    async with (
        joined(grid.channel, token, 1, name="web"),
        joined(grid.channel, token, 2, name="web") as two,
        joined(grid.channel, token, 3, name="web-4"),
        joined(grid.channel, token, 4, name="web") as four,
    ):
        assert two.welcome.node.name == "web-2"
        assert four.welcome.node.name == "web-4-2"


async def test_an_engine_id_of_one_grid_is_free_in_another_one(grid: Running, admin: Caller, token: str) -> None:
    """Or whoever may add a node to any grid could keep the machines of the others out."""
    other = (await admin.create_grid({"name": "beta"})).body["token"]
    async with joined(grid.channel, token, 1) as mine, joined(grid.channel, other, 1) as theirs:
        assert mine.welcome.node.id != theirs.welcome.node.id
        assert [agent.welcome.node.grid for agent in (mine, theirs)] == ["alpha", "beta"]
        await mine.heartbeat()


async def test_the_first_message_must_be_hello(grid: Running, token: str) -> None:
    agent = Agent(grid.channel, {GRID: token})
    await agent.call.write(pb.ConnectRequest(heartbeat=pb.Heartbeat()))
    code, why, _ = await agent.end()
    assert (code, why) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_concurrent_joins_get_numbers_and_names_of_their_own(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    agents = [Agent((grid, other_replica)[n % 2].channel, {GRID: token}) for n in range(50)]
    await asyncio.gather(*(agent.hello(node_id=engine_id(n), name="web") for n, agent in enumerate(agents)))
    assert sorted(agent.welcome.node.node_number for agent in agents) == list(range(1, 51))
    assert len({agent.welcome.node.name for agent in agents}) == 50
    assert len((await admin.nodes("alpha")).body["nodes"]) == 50
    for agent in agents:
        agent.break_off()


async def test_one_machine_joining_many_times_at_once_is_one_node(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    agents = [Agent((grid, other_replica)[n % 2].channel, {GRID: token}) for n in range(10)]
    results = await asyncio.gather(*(agent.hello() for agent in agents), return_exceptions=True)
    assert {reason(error) for error in results if isinstance(error, grpc.aio.AioRpcError)} <= {"SESSION_SUPERSEDED"}
    assert len((await admin.nodes("alpha")).body["nodes"]) == 1
    for agent in agents:
        agent.break_off()


async def fill(grid_url: str, but: int) -> None:
    connection = await asyncpg.connect(grid_url)
    await connection.execute(
        "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels) select lpad(n::text, 24, '0'), "
        "(select id from grid.grids), 'e' || n, 'n' || n, n, '{}' from generate_series(1, 254) n where n <> $1",
        but,
    )
    await connection.close()


async def test_each_node_gets_a_block_and_the_one_too_many_is_refused(
    grid: Running, admin: Caller, token: str, grid_url: str
) -> None:
    await fill(grid_url, 77)
    async with joined(grid.channel, token) as agent, joined(grid.channel, token, 2) as next_one:
        assert (agent.welcome.node.node_number, agent.welcome.node.block) == (77, "10.81.77.0/24")
        last = next_one.welcome.node
        assert (last.node_number, last.overlay_ip, last.block) == (255, "10.81.0.255", "10.81.255.0/24")
        code, reason, text = (await refused(grid.channel, {GRID: token}, node_id="x"))[:3]
        assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "GRID_FULL")
        assert "room for 255 nodes with a block of /24 each. Remove a node first" in text
    refused_too = await admin.create_node("alpha", {"name": "ahead"})
    assert refused_too.status == 422
    assert "room for 255 nodes" in refused_too.body["error"]["node_number"]


async def test_smaller_blocks_make_room_for_more_nodes(grid: Running, admin: Caller, grid_url: str) -> None:
    wide = {"name": "many", "network": {"node_prefix": 26}}
    token = (await admin.create_grid(wide)).body["token"]
    await fill(grid_url, 0)
    async with joined(grid.channel, token) as agent:
        assert (agent.welcome.node.node_number, agent.welcome.node.block) == (255, "10.81.67.128/26")
        assert agent.welcome.node.overlay_ip == "10.81.0.255"


async def test_a_full_grid_takes_no_more_nodes(grid: Running, admin: Caller, grid_url: str) -> None:
    token = (await admin.create_grid({"name": "small", "subnet": "10.5.0.0/29"})).body["token"]
    await fill(grid_url, 77)
    async with joined(grid.channel, token) as agent:
        assert agent.welcome.node.node_number == 77
        assert (await refused(grid.channel, {GRID: token}, node_id="x"))[:2] == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "GRID_FULL",
        )
    refused_too = await admin.create_node("small", {"name": "ahead"})
    assert (refused_too.status, list(refused_too.body["error"])) == (422, ["node_number"])
