"""Container logs of grids, stacks and containers (docs/spec/deploy_rest.md section 7.1)."""

import asyncio
from typing import Any

import pytest

from kontena.deploy.v1 import container_log_pb2 as pb
from services.deploy_svc.store import services
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import log_line, log_pusher, placed
from tests.integration.deploy_svc.container_agents import ContainerRest, container, container_pusher
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running


@pytest.fixture
def ask(deploy: Running) -> ContainerRest:
    return ContainerRest(deploy.channel)


@pytest.fixture
async def ids(rest: Rest, deploy_db: Database, deploy_neighbours: Neighbours, ask: ContainerRest) -> dict[str, str]:
    """Two services, two nodes."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    deploy_neighbours.grids.put_node(NODE_2, "node-b", 2)
    for name in ("web", "db"):
        await rest.created(name)
    async with deploy_db.read() as tx:
        found = {service.name: service.id for service in await services.of_grid(tx, GRID)}

    for service_id in found.values():
        await placed(deploy_db, service_id, NODE_1, NODE_2)

    async def known() -> bool:
        return "error" not in await lines(ask, "ListGridLogs", pb.ListGridLogsRequest(grid="g1", nodes="node-b"))

    await eventually(known)
    return found


@pytest.fixture
async def written(deploy: Running, ids: dict[str, str]) -> None:
    """Lines of both services, and of a container without one."""
    async with log_pusher(deploy.channel) as pusher:
        await pusher.push([log_line("web 1", service_id=ids["web"], container_id=container("web-1").container_id)])
        await pusher.push([log_line("plain", container_id="p", container_name="plain")])
    async with log_pusher(deploy.channel, node_id=NODE_2) as pusher:
        await pusher.push([log_line("db 1", service_id=ids["db"], container_id="d", container_name="db-1")])


async def lines(ask: ContainerRest, method: str, request: Any) -> str:
    answer = await ask.body(method, request)
    return ",".join(item["data"] for item in answer.body["logs"]) if answer.status == 200 else f"error {answer.status}"


@pytest.mark.usefixtures("written")
async def test_filters_of_a_grid(ask: ContainerRest) -> None:
    for query, expected in (
        ({}, "web 1,plain,db 1"),
        ({"services": "web"}, "web 1"),
        ({"services": "null/web,db,none"}, "web 1,db 1"),
        ({"services": "none"}, ""),
        ({"containers": "plain,db-1"}, "plain,db 1"),
        ({"containers": ","}, ""),
        ({"nodes": "node-b"}, "db 1"),
        ({"nodes": "nowhere"}, ""),
        ({"nodes": "node-a", "services": "db"}, ""),
        ({"limit": "1"}, "db 1"),
    ):
        assert await lines(ask, "ListGridLogs", pb.ListGridLogsRequest(grid="g1", **query)) == expected, query


@pytest.mark.usefixtures("written")
async def test_lines_without_a_service_show_none(ask: ContainerRest) -> None:
    answer = await ask.body("ListGridLogs", pb.ListGridLogsRequest(grid="g1"))
    web, plain, _ = answer.body["logs"]
    assert (web["service"]["id"], web["stack"]["id"], web["grid"]["id"]) == ("g1/null/web", "g1/null", "g1")
    assert not {"service", "stack", "grid"} & plain.keys()


@pytest.mark.usefixtures("written")
async def test_lines_of_a_stack(ask: ContainerRest) -> None:
    assert await lines(ask, "ListStackLogs", pb.ListStackLogsRequest(id="g1/null")) == "web 1,db 1"
    assert await lines(ask, "ListStackLogs", pb.ListStackLogsRequest(id="g1/null", container="db-1")) == "db 1"
    assert await lines(ask, "ListStackLogs", pb.ListStackLogsRequest(id="g1/null", search="WEB")) == "web 1"
    assert await lines(ask, "ListStackLogs", pb.ListStackLogsRequest(id="g1/none")) == "error 404"


@pytest.mark.usefixtures("written")
async def test_lines_of_a_container(ask: ContainerRest, deploy: Running, ids: dict[str, str]) -> None:
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", ids["web"]))
    assert await lines(ask, "ListContainerLogs", pb.ListContainerLogsRequest(id="g1/node-a/web-1")) == "web 1"
    assert await lines(ask, "ListContainerLogs", pb.ListContainerLogsRequest(id="g1/node-b/web-1")) == "error 404"


@pytest.mark.usefixtures("never_looks_by_itself")
async def test_a_follower_of_a_stack_sees_services_that_come_later(
    ask: ContainerRest, deploy: Running, ids: dict[str, str], rest: Rest, deploy_db: Database
) -> None:
    stream = ask.follow("ListStackLogs", pb.ListStackLogsRequest(id="g1/null", follow="1"))
    assert await anext(stream) is None
    await rest.created("late")
    async with deploy_db.read() as tx:
        late = await services.find(tx, GRID, "null", "late")
    assert late is not None
    await placed(deploy_db, late.id, NODE_1)
    async with log_pusher(deploy.channel) as pusher:
        await pusher.push([log_line("hello", service_id=late.id)])
    async with asyncio.timeout(30):
        while (item := await anext(stream)) is None:
            pass
    assert item["data"] == "hello"
