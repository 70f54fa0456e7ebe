"""Looking at an instance over real sockets: MH-63."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from agent.domain.health import is_healthy
from agent.probes import accepts, http_status


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
    assert await http_status("127.0.0.1", port, path, 5) == status
    assert is_healthy(status) is healthy


async def test_no_answer_in_time_is_none(port: int) -> None:
    assert await http_status("127.0.0.1", port, "/0", 0.1) is None


async def test_a_port_is_open_or_not(port: int) -> None:
    assert await accepts("127.0.0.1", port, 5)
    assert not await accepts("127.0.0.1", 1, 5)
    assert await http_status("127.0.0.1", 1, "/", 5) is None
