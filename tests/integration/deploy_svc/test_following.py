"""Followers through the gateway: the answer begins at once and stays alive, whatever else the grid does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.deploy_svc.domain.event import Event
from services.deploy_svc.store import event_logs
from services.deploy_svc.usecases.following import kept_alive
from tests.integration.deploy_svc.agents import log_line, log_pusher
from tests.integration.deploy_svc.http_world import Http, HttpWorld
from tests.integration.deploy_svc.stand_ins import GRID

QUIET = [
    "/v1/services/g1/null/quiet/container_logs",
    "/v1/stacks/g1/null/container_logs",
    "/v1/containers/g1/node-1/quiet-1/logs",
    "/v1/grids/g1/container_logs?services=quiet",
    "/v1/services/g1/null/quiet/event_logs",
    "/v1/stacks/g1/null/event_logs",
    "/v1/grids/g1/event_logs?services=quiet",
]


@pytest.fixture
async def _busy(edge: HttpWorld, http: Http) -> AsyncIterator[None]:
    """A node whose containers outside of any service log all the time, and a grid with an event every few moments."""
    await http.call("POST", "/v1/grids/g1/services", {"name": "quiet", "image": "x", "stateful": False}, 201)
    async with edge.node(), _repeated(edge):
        await edge.report("quiet-1", path="null/quiet")
        await http.until("/v1/containers/g1", lambda found: found["containers"] != [])
        yield


@asynccontextmanager
async def _repeated(edge: HttpWorld) -> AsyncIterator[None]:
    edge.engine.around.grids.put_node("f" * 24, "talkative", 9, availability="drain")

    async def talk() -> None:
        async with log_pusher(edge.served.channel, node_id="f" * 24) as pusher:
            number = 0
            while True:
                number += 1
                await pusher.push([log_line(f"line {number}", number, container_id="other", container_name="other")])
                async with edge.engine.db.transaction() as tx:
                    await event_logs.record(tx, Event(grid_id=GRID, type="scheduler", message=f"event {number}"))
                await asyncio.sleep(0.02)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("_busy")
@pytest.mark.parametrize("path", QUIET)
async def test_a_follower_of_something_quiet_hears_at_once_and_again_and_again(http: Http, path: str) -> None:
    # As long as the line is busy it was silent without an end.
    async with (
        asyncio.timeout(60),
        http.client.stream("GET", f"{path}{'&' if '?' in path else '?'}follow=1") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        pieces = answer.aiter_raw()
        assert [(await anext(pieces)).strip() for _ in range(3)] == [b""] * 3


async def test_who_takes_lines_is_told_that_they_are(edge: HttpWorld, http: Http) -> None:
    await http.call("POST", "/v1/grids/g1/services", {"name": "quiet", "image": "x", "stateful": False}, 201)
    for path in ("/v1/services/g1/null/quiet/container_logs", "/v1/grids/g1/event_logs"):
        async with (
            asyncio.timeout(60),
            http.client.stream("GET", f"{path}?follow=1", headers={"Accept": "application/x-ndjson"}) as answer,
        ):
            assert answer.headers["content-type"] == "application/x-ndjson"
            assert await anext(answer.aiter_raw())


async def test_keep_alive_does_not_wait_for_a_slow_look_and_loses_nothing() -> None:
    gate = asyncio.Event()

    async def batches() -> AsyncGenerator[list[int]]:
        await gate.wait()
        yield [1]
        yield [2]
        raise ConnectionError

    kept = kept_alive(batches(), 0.01, [])
    assert await anext(kept) == []
    gate.set()
    assert await _sent(kept) == [1, 2]
    with pytest.raises(ConnectionError):
        await anext(kept)


async def _sent(batches: AsyncIterator[Sequence[int]]) -> list[int]:
    """The first two numbers."""
    found: list[int] = []
    while len(found) < 2:
        found += await anext(batches)
    return found
