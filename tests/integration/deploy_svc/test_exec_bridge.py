"""The exec WebSocket, spoken to as the CLI does: bridge and deploy_svc are real, the node is played."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.exec_bridge.server import serving
from gateway.exec_bridge.settings import ExecBridgeSettings
from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1 import node_command_pb2 as command_pb
from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import command_routes
from services.kernel.db import Database
from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
    ContainerRest,
    command_agent,
    container,
    container_pusher,
    exited,
    failed,
    output,
)
from tests.integration.deploy_svc.stand_ins import NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Running, running

PATH = "/v1/containers/g1/node-a/web-1/exec"


def reply(order: command_pb.NodeCommand) -> Sequence[command_pb.NodeCommandEvent]:
    """A program whose words say what it does, and that repeats its input."""
    match order.WhichOneof("message"):
        case "exec":
            return {
                "talk": [output("a"), output("b", "stderr"), exited(3)],
                "broken": [failed("refused", "container is paused")],
                "gone": [failed("not_found")],
                "flood": [output("x" * 32_000)],
            }.get(order.exec.cmd[0], [])
        case "input" if order.input.data == b"silent":
            return []
        case "input":
            read = command_pb.ReadInput(size=len(order.input.data) + 256)
            said = exited(0) if order.input.end else output(order.input.data.decode())
            return [command_pb.NodeCommandEvent(read=read), said]
        case "size":
            return [output(f"{order.size.width}x{order.size.height}")]
        case "read":
            return [output("x" * 32_000)] if order.read.size == 32_000 else []
    return []


@pytest.fixture
async def agent(deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours) -> AsyncIterator[CommandAgent]:
    """node-a, attached, with the container web-1."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container())
    async with command_agent(deploy.channel, reply) as agent:

        async def reachable() -> bool:
            ask = ContainerRest(deploy.channel)
            async with deploy_db.read() as tx:
                routed = await command_routes.find(tx, NODE_1) is not None
            found = await ask("GetContainer", pb.GetContainerRequest(id="g1/node-a/web-1"))
            return routed and found.status == 200

        await eventually(reachable)
        yield agent


@asynccontextmanager
async def bridge(address: str, **changed: Any) -> AsyncIterator[str]:
    settings = ExecBridgeSettings(listen_address="127.0.0.1:0", deploy_address=address, **changed)
    async with serving(settings) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@pytest.fixture
async def url(deploy: Running) -> AsyncIterator[str]:
    async with bridge(deploy.address) as found:
        yield found


def opened(
    url: str,
    query: str = "",
    path: str = PATH,
    token: str | None = "member",  # noqa: S107
    agent: str | None = "kontena-cli/1.5.4",
) -> connect:
    headers = {"X-Forwarded-For": "10.1.2.3", **({"Authorization": f"bearer {token}"} if token else {})}
    return connect(f"{url}{path}{query}", additional_headers=headers, user_agent_header=agent, compression=None)


async def say(client: ClientConnection, **frame: Any) -> None:
    await client.send(json.dumps(frame))


async def heard(client: ClientConnection) -> list[dict[str, Any]]:
    """All frames until the server closes."""
    async with asyncio.timeout(20):
        frames = []
        try:
            while True:
                frames.append(json.loads(await client.recv()))
        except ConnectionClosed:
            return frames


async def until(agent: CommandAgent, kind: str) -> None:
    async def seen() -> bool:
        return kind in agent.kinds()

    await eventually(seen, message=f"the node was told: {kind}")


async def until_begun(agent: CommandAgent, word: str) -> None:
    async def begun() -> bool:
        return [word] in [list(order.exec.cmd) for order in agent.orders]

    await eventually(begun, message=f"{word} runs")


async def test_output_and_exit_code(url: str, agent: CommandAgent, deploy_neighbours: Neighbours) -> None:
    async with opened(url) as client:
        await say(client, cmd=["talk", "-v"])
        assert await heard(client) == [
            {"stream": "stdout", "chunk": "a"},
            {"stream": "stderr", "chunk": "b"},
            {"exit": 3},
        ]
        assert client.close_code == 1000
    assert list(agent.orders[0].exec.cmd) == ["talk", "-v"]
    assert not agent.orders[0].exec.stdin

    async def audited() -> bool:
        return ("exec_interactive", "node-a/web-1") in deploy_neighbours.audit.seen()

    await eventually(audited)
    [event] = deploy_neighbours.audit.events.values()
    assert (event.user_email, event.source_ip, event.user_agent) == (
        "member@example.test",
        "10.1.2.3",
        "kontena-cli/1.5.4",
    )


@pytest.mark.usefixtures("agent")
async def test_a_client_without_a_name_has_none_in_the_audit_trail(url: str, deploy_neighbours: Neighbours) -> None:
    async with opened(url, agent=None) as client:
        await say(client, cmd=["talk"])
        await heard(client)

    async def audited() -> bool:
        return len(deploy_neighbours.audit.events) == 1

    await eventually(audited)
    [event] = deploy_neighbours.audit.events.values()
    assert event.user_agent == ""


async def test_a_line_of_input_may_be_long(url: str, agent: CommandAgent) -> None:
    line = "x" * 3_000_000 + "\n"
    async with opened(url, "?interactive=true") as client:
        await say(client, cmd=["cat"])
        await say(client, stdin=line)
        await say(client, stdin=None)
        frames = await heard(client)
    assert frames.pop() == {"exit": 0}
    assert "".join(frame["chunk"] for frame in frames) == line


async def test_shell_joins_the_words(url: str, agent: CommandAgent) -> None:
    async with opened(url, "?shell=true") as client:
        await say(client, cmd=["exit", "7"])
        await until(agent, "exec")
    assert list(agent.orders[0].exec.cmd) == ["/bin/sh", "-c", "exit 7"]


async def test_input_size_and_end_of_input(url: str, agent: CommandAgent) -> None:
    async with opened(url, "?interactive=true&tty=true") as client:
        await say(client, cmd=["cat"])
        await say(client, tty_size={"width": 80, "height": 24})
        await say(client, stdin="h\u00e9\n")
        await say(client, stdin=None)
        frames = await heard(client)
    assert frames == [{"stream": "stdout", "chunk": "80x24"}, {"stream": "stdout", "chunk": "h\u00e9\n"}, {"exit": 0}]
    assert (agent.orders[0].exec.stdin, agent.orders[0].exec.tty) == (True, True)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    ("path", "token", "status", "error"),
    [
        (PATH, None, 401, "invalid_token"),
        (PATH, "nobody", 401, "invalid_token"),
        (PATH, "viewer", 403, "Access denied"),
        ("/v1/containers/g2/node-a/web-1/exec", "member", 403, "Access denied"),
        ("/v1/containers/none/node-a/web-1/exec", "member", 404, "Not found"),
        ("/v1/containers/g1/none/web-1/exec", "member", 404, "Not found"),
        ("/v1/containers/g1/node-a/none/exec", "member", 404, "Not found"),
        ("/v1/containers/g1/node-a%2Fweb-1/x/exec", "member", 404, "Not found"),
        ("/v1/containers/g1/none/exec", "member", 404, "Not found"),
        ("/v1/containers/g1/web-1/exec", None, 401, "invalid_token"),
        ("/v1/containers/g2/web-1/exec", "member", 403, "Access denied"),
        ("/v1/containers/web-1/exec", "member", 404, "Not found"),
        ("/v1/grids", "member", 404, "Not found"),
    ],
)
async def test_refusals_come_before_the_upgrade(
    url: str, path: str, token: str | None, status: int, error: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(url, path=path, token=token):
            pass
    response = refused.value.response
    assert response.status_code == status
    assert json.loads(response.body)["error"] == error
    assert response.headers["content-type"] == "application/json"
    assert ("www-authenticate" in response.headers) == (status == 401)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    ("cmd", "error"),
    [("broken", "container is paused"), ("gone", "Not found"), ("", "cmd is empty")],
)
async def test_what_the_node_refuses_is_an_error_frame(url: str, cmd: str, error: str) -> None:
    async with opened(url) as client:
        await say(client, cmd=[cmd])
        assert await heard(client) == [{"error": error}]
        assert client.close_code == 4000


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
    async with bridge(
        deploy.address, exec_session_limit=1, exec_frame_limit_bytes=1024, exec_first_frame_seconds=0.2
    ) as url:
        async with opened(url, "?interactive=true") as client:
            with pytest.raises(InvalidStatus) as refused:
                async with opened(url):
                    pass
            assert refused.value.response.status_code == 503
            assert await heard(client) == [{"error": "no cmd within 0.2 s"}]

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
    async with bridge(deploy.address, exec_ping_seconds=0.2) as url:
        client = await opened(url)
        await say(client, cmd=["silent"])
        await until(agent, "exec")
        client.transport.pause_reading()
        await until(agent, "cancel")
        client.transport.abort()
