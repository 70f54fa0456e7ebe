"""Looking at an instance over real sockets: MH-63."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from agent.domain.health import http_problem
from agent.probes import connect, http_status


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers with the status in its path; a redirect leads to a 404."""
    agents: list[str] = []
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        agents.append(request.headers["User-Agent"])
        status = int(request.match_info["status"])
        if status == 0:
            await over.wait()
        return web.Response(status=status, headers={"Location": "/404"} if status == 302 else {})

    application = web.Application()
    application.router.add_get("/{status}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    over.set()
    await runner.cleanup()
    assert {agent.partition("/")[0] for agent in agents} <= {"Kontena-Agent"}


@pytest.mark.parametrize(
    ("path", "status", "healthy"), [("/200", 200, True), ("/302", 302, True), ("/404", 404, False)]
)
async def test_a_redirect_is_not_followed_and_healthy(port: int, path: str, status: int, healthy: bool) -> None:
    assert await http_status("127.0.0.1", port, path, 60) == status
    assert (http_problem(status) == "") is healthy


async def test_what_the_connection_said_is_told(port: int) -> None:
    assert await http_status("127.0.0.1", port, "/0", 0.1) == "no answer within 0.1 s"
    assert await http_status("127.0.0.1", 1, "/", 60) == "connection refused"
    assert await connect("127.0.0.1", port, 60) == ""
    assert await connect("127.0.0.1", 1, 60) == "connection refused"
    assert await connect("255.255.255.255", 1, 5) in ("permission denied", "network is unreachable")


@pytest.mark.parametrize(
    ("said", "words"), [(b"", "the connection was closed without an answer"), (b"hi\r\n\r\n", "the answer is not HTTP")]
)
async def test_an_answer_that_is_none_is_named(said: bytes, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        assert await http_status("127.0.0.1", server.sockets[0].getsockname()[1], "/", 60) == words
