"""Container logs: in from agents, out over REST (docs/spec/deploy_rest.md section 7)."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from services.deploy_svc.loops.log_retention import LogRetention
from services.deploy_svc.store import services, tables
from services.deploy_svc.store.partitions import PARTITIONS
from services.deploy_svc.usecases import current_session
from services.kernel.db import Database
from services.kernel.partitions import today as today_of
from tests.integration.deploy_svc.agents import log_line, log_pusher, placed
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, OTHER_GRID, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

Push = Callable[..., Awaitable[None]]


@pytest.fixture
async def service_id(rest: Rest, deploy_db: Database, deploy_neighbours: Neighbours) -> str:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await rest.created()
    async with deploy_db.read() as tx:
        found = await services.find(tx, GRID, "null", "web")
    assert found is not None
    await placed(deploy_db, found.id, NODE_1)
    return found.id


@pytest.fixture
async def push(deploy: Running, service_id: str) -> AsyncIterator[Push]:
    """Sends lines of the service on one stream; numbers stand for lines at that second."""
    async with log_pusher(deploy.channel) as pusher:

        async def send(*texts: str, **changed: Any) -> None:
            await pusher.push([log_line(text, at, service_id=service_id, **changed) for at, text in enumerate(texts)])

        yield send


async def texts(rest: Rest, **query: str) -> list[str]:
    found = await rest.logs(**query)
    assert found.status == 200, found
    return [item["data"] for item in found.body["logs"]]


async def test_a_line_is_shown_with_its_origin(rest: Rest, push: Push) -> None:
    assert (await rest.logs()).body == {"logs": []}
    await push("é\0x", type="stderr", time=None)
    (item,) = (await rest.logs()).body["logs"]
    assert item.pop("id") == f"{1:024x}"
    assert item.pop("created_at") == "2026-11-01T12:00:00.000Z"
    assert item == {
        "name": "web-1", "container_id": "c" * 24, "service": {"id": "g1/null/web", "name": "web"},
        "stack": {"id": "g1/null", "name": "null"}, "grid": {"id": "g1", "name": "g1"}, "type": "stderr",
        "node": {"name": "node-a"}, "data": "é\ufffdx",
    }  # fmt: skip


async def test_a_line_of_a_hook_has_the_name_of_its_instance(rest: Rest, push: Push) -> None:
    await push("new", hook="pre_start/migrate", container_id="d")
    # As agents of earlier versions tell it.
    await push("old", container_name="web-1-pre_start-f4457f4f", container_id="e")
    await push("mine")
    items = (await rest.logs()).body["logs"]
    assert [(item["name"], item.get("hook")) for item in items] == [
        ("web-1", "pre_start/migrate"), ("web-1", "pre_start"), ("web-1", None),
    ]  # fmt: skip


async def test_selection(rest: Rest, push: Push) -> None:
    await push(*(f"line {number}" for number in range(5)))
    await push("Other", container_id="d" * 64, container_name="web-2", instance_number=2)
    everything = (await rest.logs()).body["logs"]
    assert [item["data"] for item in everything] == ["line 0", "line 1", "line 2", "line 3", "line 4", "Other"]
    assert await texts(rest, limit="2") == ["line 4", "Other"]
    assert len(await texts(rest, limit="0")) == 6
    assert await texts(rest, **{"from": everything[1]["id"], "limit": "2"}) == ["line 2", "line 3"]
    assert await texts(rest, **{"from": everything[-1]["id"]}) == []
    assert await texts(rest, since="2026-11-01T12:00:02Z") == ["line 3", "line 4"]
    assert await texts(rest, instance="2") == ["Other"]
    assert await texts(rest, instance="99999999999") == []
    assert await texts(rest, container="web-2") == ["Other"]
    assert await texts(rest, search="oTHER") == ["Other"]
    assert await texts(rest, search="%") == []
    refused = await rest.logs(**{"from": "zz"})
    assert (refused.status, list(refused.body)) == (400, ["error"])
    refused = await rest.logs(since="yesterday", instance="x")
    assert (refused.status, set(refused.body["error"])) == (422, {"since", "instance"})


async def test_a_long_answer_is_one_document(rest: Rest, push: Push) -> None:
    for _ in range(3):
        await push(*("x" * 1000 for _ in range(1000)))
    assert len(await texts(rest, limit="99999")) == 3000
    assert len(await texts(rest)) == 100


async def test_lines_sent_again_are_stored_once(rest: Rest, deploy: Running, service_id: str) -> None:
    lines = [log_line(str(number), number // 2, service_id=service_id) for number in range(6)]
    for sent in (lines[:3], lines[:5], lines[1:], lines):
        async with log_pusher(deploy.channel) as pusher:
            await pusher.push(sent)
    assert await texts(rest) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("grid_id", [GRID, OTHER_GRID])
async def test_a_node_writes_lines_of_what_it_runs_only(
    rest: Rest, deploy: Running, service_id: str, deploy_db: Database, deploy_neighbours: Neighbours, grid_id: str
) -> None:
    """The attack: a node that runs nothing of a service puts words into its mouth."""
    deploy_neighbours.grids.put_node(NODE_2, "node-b", 2, grid_id=grid_id)
    async with log_pusher(deploy.channel, node_id=NODE_2, grid_id=grid_id) as pusher:
        await pusher.push([log_line("forged", service_id=service_id)])
    assert await texts(rest) == []
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(tables.container_logs))).all() == []


async def test_no_line_is_stored_after_its_service_was_deleted(
    rest: Rest, deploy: Running, push: Push, service_id: str, deploy_db: Database
) -> None:
    await push("before")
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.services.delete().where(tables.services.c.id == service_id))
    await push("after", container_id="d")
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(tables.container_logs.c.data))).scalars().all() == ["before"]


async def test_a_removed_node_writes_nothing_more_on_a_stream_it_has(
    deploy: Running, push: Push, deploy_neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token would be good for an hour."""
    monkeypatch.setattr(current_session, "_PATIENCE_SECONDS", 0.5)
    await push("before")
    deploy_neighbours.grids.nodes.remove(NODE_1)

    async def refused() -> bool:
        try:
            await push("after", container_id="d")
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.FAILED_PRECONDITION
        return False

    await eventually(refused)
    with pytest.raises(grpc.aio.AioRpcError):
        async with log_pusher(deploy.channel) as pusher:
            await pusher.push([log_line("again")])


async def test_a_superseded_session_is_refused(deploy: Running, service_id: str, deploy_neighbours: Neighbours) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, session=2)

    async def refused() -> bool:
        async with log_pusher(deploy.channel, session=1) as pusher:
            try:
                await pusher.push([log_line("late")])
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.FAILED_PRECONDITION
        return False

    await eventually(refused)


async def test_the_token_of_a_user_opens_no_log_stream(deploy: Running) -> None:
    async with log_pusher(deploy.channel, "member") as pusher:
        with pytest.raises(grpc.aio.AioRpcError, match="Invalid token"):
            await pusher.read()


@pytest.mark.usefixtures("never_looks_by_itself")
async def test_followers_are_woken_and_get_new_lines_in_order_and_one_per_message(rest: Rest, push: Push) -> None:
    await push("first")
    stream = rest.follow()
    assert (await _item(stream))["data"] == "first"
    for number in range(4):
        # Past a keep-alive, so that the follower sleeps.
        assert await anext(stream) is None
        await push(f"line {number}", container_id=f"c{number}")
        assert (await _item(stream))["data"] == f"line {number}"


async def test_who_takes_lines_gets_all_that_came_together_in_one_message(rest: Rest, push: Push) -> None:
    streams = [rest.log_stream(follow="1", accept=accept) for accept in ("application/x-ndjson, */*;q=0.1", "*/*")]
    for stream in streams:
        await stream.read()
    lines = [f"line {number}" for number in range(150)]
    await push(*lines)
    together, alone = [await _pieces(stream, len(lines)) for stream in streams]
    assert [json.loads(line)["data"] for line in b"".join(together).splitlines()] == lines
    assert b"".join(together) == b"".join(alone)
    # One transaction stored them, so one look finds them.
    assert (len(together), len(alone)) == (1, len(lines))


@pytest.mark.usefixtures("never_looks_by_itself")
async def test_an_idle_stream_is_kept_alive(rest: Rest, push: Push) -> None:
    stream = rest.follow()
    async with asyncio.timeout(30):
        assert [await anext(stream) for _ in range(3)] == [None] * 3


async def test_following_from_an_id_misses_nothing(rest: Rest, push: Push, deploy: Running, service_id: str) -> None:
    await push(*(str(number) for number in range(700)))
    last = (await rest.logs(limit="700")).body["logs"][0]["id"]
    stream = rest.follow(**{"from": last, "limit": "1"})
    found = [(await _item(stream))["data"] for _ in range(699)]
    assert found == [str(number) for number in range(1, 700)]


async def test_writers_at_the_same_time_and_a_follower_see_every_line_once(
    rest: Rest, deploy: Running, service_id: str, deploy_neighbours: Neighbours, deploy_db: Database
) -> None:
    nodes = [f"{node:024x}" for node in range(4)]
    for number, node_id in enumerate(nodes):
        deploy_neighbours.grids.put_node(node_id, f"writer-{number}", 10 + number)
    await placed(deploy_db, service_id, *nodes)
    stream = rest.follow()
    await anext(stream)

    async def write(node: int) -> None:
        async with log_pusher(deploy.channel, node_id=nodes[node]) as pusher:
            for batch in range(10):
                await pusher.push([log_line(f"{node}/{batch}", batch, service_id=service_id, container_id=f"n{node}")])

    async with asyncio.TaskGroup() as tasks:
        for node in range(4):
            tasks.create_task(write(node))
        items = [await _item(stream) for _ in range(40)]
    assert sorted(item["data"] for item in items) == sorted(
        f"{node}/{batch}" for node in range(4) for batch in range(10)
    )
    assert [item["id"] for item in items] == sorted(item["id"] for item in items)


async def test_filters_hold_while_following(rest: Rest, push: Push) -> None:
    await push("old", "old match")
    stream = rest.follow(search="match", since="2026-11-01T12:00:30Z")
    assert await anext(stream) is None
    await push("no", container_id="d")
    await push(*[""] * 40, "a match", container_id="e")
    assert (await _item(stream))["data"] == "a match"


async def test_an_idle_follower_asks_the_database_rarely(
    rest: Rest, push: Push, deploy_queries: Callable[[str], Any]
) -> None:
    stream = rest.follow()
    await anext(stream)

    async def quiet() -> bool:
        # It looks once when it begins, and may do so after its first word has arrived here.
        with deploy_queries("ListServiceLogs") as statements:
            assert [await anext(stream) for _ in range(2)] == [None] * 2
        return statements == []

    await eventually(quiet)


async def test_a_follower_that_leaves_is_forgotten(
    rest: Rest, push: Push, deploy_queries: Callable[[str], Any]
) -> None:
    stream = rest.log_stream(follow="1")
    await stream.read()
    stream.cancel()

    names = map(str, itertools.count())

    async def quiet() -> bool:
        with deploy_queries("ListServiceLogs") as statements:
            await push("x", container_id=next(names))
        return not [text for text in statements if "container_logs.data" in text]

    await eventually(quiet)


async def test_refusals_come_before_the_stream(rest: Rest, push: Push) -> None:
    assert (await rest.logs("g1/null/none", follow="1")).status == 404
    assert (await rest.logs("g2/null/web", follow="1")).status == 403
    assert (await rest.logs(follow="1", **{"from": "zz"})).status == 400


async def test_old_partitions_go_and_coming_ones_are_made(rest: Rest, push: Push, deploy_db: Database) -> None:
    await push("new")
    async with deploy_db.transaction() as tx:
        today = await today_of(tx)
        await PARTITIONS.create(tx, "container_logs", today - timedelta(days=8))
        old, older = (
            {"arrived_on": today - timedelta(days=age), "grid_id": GRID, "node_id": NODE_1, "node": "", "type": "x",
             "container_name": "", "container_id": "", "time": sa.func.now(), "data": "old"}
            for age in (8, 30)
        )  # fmt: skip
        await tx.execute(tables.container_logs.insert().values(old))
        # For this day there is no partition.
        await tx.execute(tables.container_logs.insert().values(older))
    await LogRetention(deploy_db, days=7).turn()
    async with deploy_db.read() as tx:
        days = sorted((day - today).days for day in await PARTITIONS.existing(tx, "container_logs"))
        assert (await tx.execute(sa.select(tables.container_logs.c.data))).scalars().all() == ["new"]
    assert days == [0, 1, 2, 3]


async def test_a_missing_partition_never_stops_a_writer_and_is_made_later(
    rest: Rest, push: Push, deploy_db: Database
) -> None:
    async with deploy_db.transaction() as tx:
        today = await today_of(tx)
        await PARTITIONS.drop(tx, (await PARTITIONS.existing(tx, "container_logs"))[today])
    await push("kept")
    await LogRetention(deploy_db, days=7).turn()
    async with deploy_db.read() as tx:
        assert today in await PARTITIONS.existing(tx, "container_logs")
    assert await texts(rest) == ["kept"]


async def _item(stream: AsyncIterator[dict[str, Any] | None]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        async for item in stream:
            if item is not None:
                return item
    raise AssertionError("the stream ended")


async def _pieces(stream: Any, lines: int) -> list[bytes]:
    """The messages with the next `lines` lines; those that say that there is nothing are left out."""
    found: list[bytes] = []
    async with asyncio.timeout(30):
        while sum(piece.count(b"\n") for piece in found) < lines:
            piece = (await stream.read()).data
            found += [piece] if piece.strip() else []
    return found
