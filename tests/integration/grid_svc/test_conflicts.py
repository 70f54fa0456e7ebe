"""Two agents with one id: the one that was started later is the node, and the node shows that there is another one."""

import grpc
import pytest

from tests.integration.grid_svc.agents import joined, reason
from tests.integration.grid_svc.caller import Caller
from tests.support.eventually import eventually
from tests.support.running import Running


async def shown(admin: Caller) -> tuple[bool, str]:
    body = (await admin.node("alpha/node-1")).body
    return body["connected"], body.get("connection_error", "")


async def refused(grid: Running, token: str, start_id: str) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async with joined(grid.channel, token, start_id=start_id):
            pass
    assert "KONTENA_NODE_ID" in (error.value.details() or "")
    return reason(error.value)


async def test_the_one_that_was_started_later_wins_for_as_long_as_it_is_there(
    grid: Running, admin: Caller, token: str
) -> None:
    async with joined(grid.channel, token, start_id="a") as older:
        assert await shown(admin) == (True, "")
        async with joined(grid.channel, token, start_id="b") as newer:
            assert (await older.end())[1] == "SESSION_SUPERSEDED"
            for _ in range(2):
                assert await refused(grid, token, "a") == "AGENT_SUPERSEDED"
            await newer.heartbeat()
            connected, words = await shown(admin)
            assert connected
            assert words.startswith("another agent with the id of this node, named node-1, tries to connect as well")
            newer.break_off()
            async with joined(grid.channel, token, start_id="b") as again:
                assert await refused(grid, token, "a") == "AGENT_SUPERSEDED"
                await again.goodbye()

        async def gone() -> bool:
            return not (await shown(admin))[0]

        await eventually(gone)
        async with joined(grid.channel, token, start_id="a") as back:
            await back.heartbeat()
            assert await refused(grid, token, "b") == "AGENT_SUPERSEDED"
            async with joined(grid.channel, token, start_id="c") as newest:
                assert (await back.end())[1] == "SESSION_SUPERSEDED"
                assert {await refused(grid, token, start) for start in "ab"} == {"AGENT_SUPERSEDED"}
                await newest.heartbeat()


async def test_agents_that_do_not_tell_their_start_are_let_in_as_ever(grid: Running, token: str) -> None:
    async with joined(grid.channel, token, start_id="a") as older, joined(grid.channel, token) as silent:
        assert (await older.end())[1] == "SESSION_SUPERSEDED"
        await silent.heartbeat()


async def test_a_node_that_is_not_connected_says_why(grid: Running, admin: Caller, token: str) -> None:
    async with joined(grid.channel, token, start_id="a") as agent:
        await agent.goodbye()

    async def said() -> bool:
        connected, words = await shown(admin)
        return not connected and words.endswith("with code 1000: the agent stopped")

    await eventually(said)
