"""The exec WebSocket, spoken to as the CLI does: bridge and deploy_svc are real, the node is played."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
)
from tests.integration.deploy_svc.exec_clients import PATH, heard, opened, say, until
from tests.integration.deploy_svc.stand_ins import Neighbours
from tests.support.eventually import eventually


@pytest.fixture
def agent(exec_agent: CommandAgent) -> CommandAgent:
    return exec_agent


@pytest.fixture
def url(exec_url: str) -> str:
    return exec_url


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
