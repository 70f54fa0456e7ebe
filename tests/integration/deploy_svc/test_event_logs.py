"""Event logs: in from the engine and from nodes, out over REST (docs/spec/deploy_rest.md section 8)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from kontena.deploy.v1 import event_log_pb2 as pb
from services.deploy_svc.domain.event import Event
from services.deploy_svc.store import event_logs, services
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import placed
from tests.integration.deploy_svc.container_agents import ContainerRest, EventPusher
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, OTHER_GRID, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running


@pytest.fixture
def ask(deploy: Running) -> ContainerRest:
    return ContainerRest(deploy.channel)


@pytest.fixture
def node(deploy: Running) -> EventPusher:
    return EventPusher(deploy.channel)


@pytest.fixture
async def service_id(rest: Rest, deploy_db: Database, deploy_neighbours: Neighbours) -> str:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await rest.created()
    await rest.created("other")
    async with deploy_db.read() as tx:
        found = await services.find(tx, GRID, "null", "web")
    assert found is not None
    await placed(deploy_db, found.id, NODE_1)
    return found.id


async def grid_events(ask: ContainerRest, **query: str) -> list[dict[str, Any]]:
    answer = await ask.body("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g1", **query))
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.body["logs"]
    return found


async def record(db: Database, *messages: str, **changed: Any) -> None:
    events = [Event(grid_id=GRID, type="scheduler", message=message, **changed) for message in messages]
    async with db.transaction() as tx:
        await event_logs.record(tx, *events)


async def test_an_event_of_a_node_is_shown_with_what_it_is_about(
    ask: ContainerRest, node: EventPusher, service_id: str
) -> None:
    await node.push(node.event(service_id, "instance 1 of web\0 started", severity=2))

    async def named() -> dict[str, Any] | None:
        (item,) = await grid_events(ask)
        return item if len(item["relationships"]) == 4 else None

    assert await eventually(named) == {
        "id": f"{1:024x}", "created_at": "2026-11-01T12:00:00.000Z", "severity": 2, "type": "service:create_instance",
        "message": "instance 1 of web\ufffd started", "meta": {"instance_number": 1},
        "relationships": [
            {"id": "g1", "type": "grid"}, {"id": "g1/null", "type": "stack"}, {"id": "g1/null/web", "type": "service"},
            {"id": "g1/node-a", "type": "node"},
        ],
    }  # fmt: skip
    service = await ask.body("ListServiceEventLogs", pb.ListServiceEventLogsRequest(id="g1/null/web"))
    stack = await ask.body("ListStackEventLogs", pb.ListStackEventLogsRequest(id="g1/null"))
    assert service.body == stack.body == {"logs": await grid_events(ask)}


async def test_what_does_not_exist_any_more_is_left_out(
    ask: ContainerRest, node: EventPusher, service_id: str, rest: Rest, deploy_db: Database
) -> None:
    await node.push(node.event(service_id, "x"))
    await record(deploy_db, "y", stack="gone", node_id=NODE_2)
    assert (await rest.delete()).status == 200
    about = [[entry["type"] for entry in item["relationships"]] for item in await grid_events(ask)]
    assert "service" not in about[0]
    assert about[1] == ["grid"]


@pytest.mark.parametrize("grid_id", [GRID, OTHER_GRID])
async def test_events_are_taken_of_known_kinds_and_of_what_the_node_runs_only(
    ask: ContainerRest,
    node: EventPusher,
    service_id: str,
    deploy: Running,
    deploy_neighbours: Neighbours,
    grid_id: str,
) -> None:
    deploy_neighbours.grids.put_node(NODE_2, "node-b", 2, grid_id=grid_id)
    await node.push(
        node.event(service_id, "forged", type="service:deploy"),
        node.event("f" * 24, "unknown service"),
        node.event(service_id, "right"),
    )
    stranger = EventPusher(deploy.channel, node_id=NODE_2, grid_id=grid_id)
    await stranger.push(stranger.event(service_id, "of another grid"))
    assert [item["message"] for item in await grid_events(ask)] == ["right"]


async def test_events_sent_again_are_stored_once(
    ask: ContainerRest, node: EventPusher, service_id: str, deploy: Running
) -> None:
    events = [node.event(service_id, str(number)) for number in range(4)]
    await node.push(*events[:3])
    await node.push(*events)
    restarted = EventPusher(deploy.channel, process="p0")
    await restarted.push(restarted.event(service_id, "of the next process"))
    assert [item["message"] for item in await grid_events(ask)] == ["0", "1", "2", "3", "of the next process"]


async def test_a_superseded_session_and_a_user_are_refused(
    deploy: Running, service_id: str, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, session=2)

    async def refused() -> bool:
        try:
            await EventPusher(deploy.channel).push()
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.FAILED_PRECONDITION
        return False

    await eventually(refused)
    await EventPusher(deploy.channel, session=2).push()


async def test_selection_and_filters(
    ask: ContainerRest, node: EventPusher, service_id: str, deploy_db: Database
) -> None:
    await record(deploy_db, "a", "b", "c")
    await node.push(node.event(service_id, "d"))
    everything = await grid_events(ask)
    ids = [item["id"] for item in everything]
    assert [item["message"] for item in everything] == ["a", "b", "c", "d"]
    assert ids == sorted(ids)
    assert everything[0]["meta"] is None

    async def messages(**query: str) -> str:
        return "".join(item["message"] for item in await grid_events(ask, **query))

    assert await messages(limit="2") == "cd"
    assert await messages(**{"from": ids[0], "limit": "2"}) == "bc"
    assert await messages(since="2026-11-01T12:00:00Z") == "abc"
    assert await messages(services="null/web") == "d"
    assert await messages(services="web") == "d"
    assert await messages(services="null/none") == ""
    assert await messages(stacks="null,none") == "d"
    assert await messages(stacks="none") == ""
    assert await messages(nodes="node-a") == "d"
    assert await messages(nodes="nowhere,") == ""
    assert await messages(nodes="node-a", services="null/other") == ""


async def test_refusals_come_before_the_stream(ask: ContainerRest, service_id: str, deploy: Running) -> None:
    for method, request, status in (
        ("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="nope", follow="1"), 404),
        ("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g2", follow="1"), 403),
        ("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g1", **{"from": "zz"}), 400),
        ("ListStackEventLogs", pb.ListStackEventLogsRequest(id="g1/none"), 404),
        ("ListStackEventLogs", pb.ListStackEventLogsRequest(id="g1/a\0"), 404),
        ("ListServiceEventLogs", pb.ListServiceEventLogsRequest(id="g1/null/none"), 404),
    ):
        answer = await ask.body(method, request)
        assert (answer.status, list(answer.body)) == (status, ["error"]), (method, request)


@pytest.mark.usefixtures("never_looks_by_itself")
async def test_followers_are_woken_by_new_events(
    ask: ContainerRest, node: EventPusher, service_id: str, deploy_db: Database
) -> None:
    streams = [
        ask.follow("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g1", follow="1")),
        ask.follow("ListServiceEventLogs", pb.ListServiceEventLogsRequest(id="g1/null/web", follow="1")),
    ]
    for stream in streams:
        assert await anext(stream) is None
    for number in range(4):
        await node.push(node.event(service_id, f"event {number}"))
        for stream in streams:
            assert (await _item(stream))["message"] == f"event {number}"
    await record(deploy_db, "of the grid")
    assert (await _item(streams[0]))["message"] == "of the grid"


async def test_writers_at_the_same_time_lose_nothing_for_a_follower(ask: ContainerRest, deploy_db: Database) -> None:
    stream = ask.follow("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g1", follow="1"))
    await anext(stream)

    async def write(writer: int) -> None:
        for number in range(10):
            await record(deploy_db, f"{writer}/{number}")

    async with asyncio.TaskGroup() as tasks:
        for writer in range(2):
            tasks.create_task(write(writer))
        items = [await _item(stream) for _ in range(20)]
    assert sorted(item["message"] for item in items) == sorted(f"{w}/{n}" for w in range(2) for n in range(10))
    assert [item["id"] for item in items] == sorted(item["id"] for item in items)


async def _item(stream: AsyncIterator[dict[str, Any] | None]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        async for item in stream:
            if item is not None:
                return item
    raise AssertionError("the stream ended")


async def test_deploys_tell_their_beginning_and_their_end(ask: ContainerRest, rest: Rest, service_id: str) -> None:
    # No node is there that could run it.
    await rest.put({"affinity": ["node==nowhere"]})
    await rest.deploy()

    async def told() -> list[dict[str, Any]]:
        found = await grid_events(ask, services="null/web")
        return found if any("failed" in item["message"] for item in found) else []

    found = await eventually(told)
    assert {item["type"] for item in found} == {"service:deploy"}
    assert found[-1]["severity"] == 3
    assert {"id": "g1/null/web", "type": "service"} in found[-1]["relationships"]
