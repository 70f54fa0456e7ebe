"""A search reads a bounded number of lines, and says what it did not look at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.deploy_svc.domain.log_segment import LINE_BYTES
from services.deploy_svc.store import log_reading, services
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import log_line, log_pusher, placed
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, Neighbours
from tests.support.running import Running

Push = Callable[..., Awaitable[None]]
BOUND = 10


@pytest.fixture(autouse=True)
def _few_lines_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "SEARCHED", BOUND)


@pytest.fixture
async def push(rest: Rest, deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours) -> AsyncIterator[Push]:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await rest.created()
    async with deploy_db.read() as tx:
        service = await services.find(tx, GRID, "null", "web")
    assert service is not None
    await placed(deploy_db, service.id, NODE_1)
    async with log_pusher(deploy.channel) as pusher:

        async def send(*texts: str) -> None:
            await pusher.push([log_line(text, at, service_id=service.id) for at, text in enumerate(texts)])

        yield send


def numbered(count: int, *matching: int) -> list[str]:
    return [f"{'Wanted' if number in matching else 'other'} {number}" for number in range(count)]


async def answers(rest: Rest, **query: str) -> list[dict[str, Any]]:
    """Of a search that goes on until everything was looked at."""
    found = [(await rest.logs(**query)).body]
    while place := found[-1].get("unsearched"):
        found.append((await rest.logs(**{**query, **place})).body)
    return found


def data(answer: dict[str, Any]) -> list[str]:
    return [item["data"] for item in answer["logs"]]


async def test_a_search_goes_back_part_by_part(rest: Rest, push: Push) -> None:
    await push(*numbered(35, 0, 4, 20, 25, 34))
    found = await answers(rest, search="wanted")
    # Of lines 25 to 34, 15 to 24, 5 to 14, 0 to 4.
    assert [data(answer) for answer in found] == [
        ["Wanted 25", "Wanted 34"],
        ["Wanted 20"],
        [],
        ["Wanted 0", "Wanted 4"],
    ]
    assert list(found[0]) == ["logs", "unsearched"]
    assert list(found[-1]) == ["logs"]


async def test_a_search_after_an_id_goes_forward(rest: Rest, push: Push) -> None:
    await push(*numbered(35, 0, 4, 20, 25, 34))
    first = (await rest.logs(limit="35")).body["logs"][0]["id"]
    found = await answers(rest, search="wanted", **{"from": first})
    assert [data(answer) for answer in found] == [["Wanted 4"], ["Wanted 20"], ["Wanted 25"], ["Wanted 34"]]
    assert found[0]["unsearched"].keys() == {"from"}


async def test_a_search_that_found_enough_says_nothing_of_the_rest(rest: Rest, push: Push) -> None:
    await push(*numbered(30, 0, 22, 29))
    assert (await rest.logs(search="wanted", limit="2")).body.keys() == {"logs"}
    assert (await rest.logs(search="none", limit="2", instance="7")).body == {"logs": []}
    # What has no search is read as a whole.
    assert (await rest.logs(limit="30")).body.keys() == {"logs"}


async def test_long_lines_count_as_several(rest: Rest, push: Push) -> None:
    await push("wanted", *["x" * LINE_BYTES * BOUND] * 3)
    assert [len(answer["logs"]) for answer in await answers(rest, search="wanted")] == [0, 0, 0, 1]


@pytest.mark.parametrize("text", ["zürich", "ZÜRICH", "rich!", "RICH!"])
async def test_a_search_minds_no_case(rest: Rest, push: Push, text: str) -> None:
    await push("Zürich!", "ZÜRICH!", "Zurig")
    assert [data(answer) for answer in await answers(rest, search=text)] == [["Zürich!", "ZÜRICH!"]]


async def test_lines_before_an_id(rest: Rest, push: Push) -> None:
    await push(*numbered(5))
    ids = [item["id"] for item in (await rest.logs()).body["logs"]]
    assert data((await rest.logs(before=ids[3], limit="2")).body) == ["other 1", "other 2"]
    assert data((await rest.logs(before=ids[3], **{"from": ids[0]})).body) == ["other 1", "other 2"]
    refused = await rest.logs(before="x")
    assert (refused.status, refused.body) == (400, {"error": "before is not the id of a log item"})


async def test_who_follows_a_search_waits_for_all_of_it(rest: Rest, push: Push) -> None:
    await push(*numbered(45, 0, 4, 20, 25, 44))
    stream = rest.follow(search="wanted", limit="4")
    assert await items(stream, 4) == ["Wanted 4", "Wanted 20", "Wanted 25", "Wanted 44"]
    # More than is looked at in one go, with the one that is wanted at the end.
    await push(*numbered(100)[45:], "Wanted at last")
    assert await items(stream, 1) == ["Wanted at last"]


async def items(stream: AsyncIterator[dict[str, Any] | None], count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            if (item := await anext(stream)) is not None:
                found.append(item["data"])
    return found
