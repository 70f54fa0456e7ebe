"""Exec sessions whose client, node, replica or bridge goes, or does not keep up."""

import asyncio
import json
from functools import partial

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import command_routes
from services.kernel.db import Database
from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
    command_agent,
)
from tests.integration.deploy_svc.exec_clients import PATH, bridge, heard, opened, reply, say, until, until_begun
from tests.integration.deploy_svc.stand_ins import NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Running, running

pytestmark = pytest.mark.slow


@pytest.fixture
def agent(exec_agent: CommandAgent) -> CommandAgent:
    return exec_agent


@pytest.fixture
def url(exec_url: str) -> str:
    return exec_url


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [(['{"stdin":"a"}'], "first frame"), (['{"cmd":["cat"]}', '{"stdin":"a"}'], "interactive=true"), (["no"], "JSON")],
)
async def test_breaking_the_protocol_ends_session_and_command(
    url: str, agent: CommandAgent, frames: list[str], complaint: str
) -> None:
    async with opened(url) as client:
        for frame in frames:
            await client.send(frame)
        [error] = await heard(client)
        assert complaint in error["error"]
        assert (client.close_code, complaint in str(client.close_reason)) == (4000, True)
    if "exec" in agent.kinds():
        await until(agent, "cancel")


async def test_a_client_that_drops_the_connection_ends_the_command(url: str, agent: CommandAgent) -> None:
    client = await opened(url)
    await say(client, cmd=["silent"])
    await until(agent, "exec")
    client.transport.abort()
    await until(agent, "cancel")


async def test_a_client_that_does_not_read_holds_the_program_up(url: str, agent: CommandAgent) -> None:
    async with connect(
        f"{url}{PATH}", additional_headers={"Authorization": "bearer member"}, max_queue=1, compression=None
    ) as client:
        await say(client, cmd=["flood"])
        printed = 0

        async def stuck() -> bool:
            nonlocal printed
            before, printed = printed, len(agent.orders)
            await asyncio.sleep(0.3)
            return before == printed > 1

        await eventually(stuck)
        assert printed < 2000, "a program that nobody reads must wait"
        client.transport.abort()
    await until(agent, "cancel")


async def test_input_waits_for_a_program_that_does_not_read(url: str, agent: CommandAgent) -> None:
    async with opened(url, "?interactive=true") as client:
        await say(client, cmd=["silent"])

        async def pour() -> None:
            while True:
                await say(client, stdin="silent")

        pouring = asyncio.create_task(pour())
        window = 256 * 1024 // (len("silent") + 256)

        async def full() -> bool:
            return agent.kinds().count("input") == window + 1

        await eventually(full)
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        client.transport.abort()
    assert agent.kinds().count("input") == window + 1


async def test_an_exit_is_heard_while_input_is_under_way(url: str, agent: CommandAgent) -> None:
    """As `head -1` with a long input: what comes too late is for nobody, and the exit code is not lost."""
    for _ in range(20):
        async with opened(url, "?interactive=true") as client:
            await say(client, cmd=["talk"])
            for _ in range(200):
                await say(client, stdin="late")
            assert (await heard(client))[-1] == {"exit": 3}
    assert "cancel" not in agent.kinds()


async def test_a_lost_node_is_told(url: str, agent: CommandAgent) -> None:
    async with opened(url) as client:
        await say(client, cmd=["silent"])
        await until(agent, "exec")
        agent.leave()
        assert await heard(client) == [
            {"error": "The connection to the node of this container broke. The command may have run"}
        ]
        assert client.close_code == 4000


async def test_a_node_is_reached_through_the_replica_it_is_attached_to(
    url: str, agent: CommandAgent, deploy_settings: Settings, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = deploy_settings.model_copy(update={"advertise_address": address})
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, session=2)
    async with (
        running(partial(app.build, settings), address) as other,
        command_agent(other.channel, reply, session=2) as moved,
    ):

        async def routed() -> bool:
            async with deploy_db.read() as tx:
                found = await command_routes.find(tx, NODE_1)
            return found is not None and found.address == address

        await eventually(routed)
        async with opened(url, "?interactive=true") as client:
            await say(client, cmd=["cat"])
            # More than fits at once, each piece confirmed over both hops.
            for number in range(2000):
                await say(client, stdin=f"{number} ")
            await say(client, stdin=None)
            frames = await heard(client)
        text = "".join(frame.get("chunk", "") for frame in frames)
        assert (text.split(), frames[-1]) == ([str(number) for number in range(2000)], {"exit": 0})
        async with opened(url, "?interactive=true") as client:
            await say(client, cmd=["talk"])
            for _ in range(200):
                await say(client, stdin="late")
            assert (await heard(client))[-1] == {"exit": 3}
        async with opened(url) as client:
            await say(client, cmd=["silent"])
            await until_begun(moved, "silent")
            client.transport.abort()
        await until(moved, "cancel")
    assert "exec" not in agent.kinds()


@pytest.mark.usefixtures("agent")
async def test_limits(deploy: Running) -> None:
    async with bridge(deploy.address, exec_first_frame_seconds=0.2) as url, opened(url) as client:
        assert await heard(client) == [{"error": "no cmd within 0.2 s"}]
    async with bridge(
        deploy.address, exec_session_limit=1, exec_frame_limit_bytes=1024, exec_first_frame_seconds=60
    ) as url:
        async with opened(url, "?interactive=true"):
            with pytest.raises(InvalidStatus) as refused:
                async with opened(url):
                    pass
            assert refused.value.response.status_code == 503

        async def free() -> bool:
            try:
                async with opened(url, "?interactive=true") as client:
                    await say(client, cmd=["cat"])
                    await say(client, stdin="x" * 2000)
                    await heard(client)
                    return client.close_code == 1009
            except InvalidStatus:
                return False

        await eventually(free, message="a frame beyond the limit ends the session")


async def test_deploy_svc_away_is_503_in_time() -> None:
    async with bridge("127.0.0.1:1", exec_open_seconds=0.3) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(url):
                pass
    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body) == {"error": "Service unavailable. Try again in a moment."}


async def test_a_bridge_that_stops_tells_its_clients(deploy: Running, agent: CommandAgent) -> None:
    async with bridge(deploy.address) as url:
        client = await opened(url)
        await say(client, cmd=["silent"])
        await until(agent, "exec")
    assert await heard(client) == [{"error": "The server of this session is about to stop"}]
    assert client.close_code == 1001
    await until(agent, "cancel")


async def test_silent_clients_are_noticed_by_pings(deploy: Running, agent: CommandAgent) -> None:
    async with bridge(deploy.address, exec_ping_seconds=1.0) as url:
        client = await opened(url)
        await say(client, cmd=["silent"])
        await until(agent, "exec")
        client.transport.pause_reading()
        await until(agent, "cancel")
        client.transport.abort()
