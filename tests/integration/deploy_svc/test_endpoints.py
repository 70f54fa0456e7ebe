"""The stream of endpoints: what may be connected to, and what may not any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from kontena.deploy.v1 import assignment_pb2 as agent_pb
from kontena.deploy.v1 import endpoint_pb2 as pb
from kontena.deploy.v1.endpoint_pb2_grpc import EndpointServiceStub
from services.deploy_svc.domain.service_spec import HealthCheck
from tests.integration.deploy_svc.agents import node_metadata
from tests.integration.deploy_svc.engine_fixtures import Engine, engine, obey
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        found.node(NODE_2, 2)
        yield found


class Book:
    """What a node was told."""

    def __init__(self) -> None:
        self.known: dict[str, pb.Endpoint] = {}
        self.synced = 0
        self.failure: grpc.aio.AioRpcError | None = None

    async def follow(self, call: Any) -> None:
        try:
            while (update := await call.read()) is not grpc.aio.EOF:
                if update.reset:
                    self.known = {}
                for key in update.removed:
                    self.known.pop(key, None)
                self.known.update({item.instance_id: item for item in update.upserted})
                self.synced += update.synced
        except grpc.aio.AioRpcError as error:
            self.failure = error

    def addresses(self) -> dict[str, tuple[str, bool]]:
        return {item.hostname: (item.address, item.lost) for item in self.known.values()}


@asynccontextmanager
async def following(channel: grpc.aio.Channel, node_id: str = NODE_1) -> AsyncIterator[Book]:
    book, stub = Book(), EndpointServiceStub(channel)
    call: Any = stub.WatchEndpoints(pb.WatchEndpointsRequest(), metadata=node_metadata(node_id))
    task = asyncio.create_task(book.follow(call))
    try:
        yield book
    finally:
        call.cancel()
        await asyncio.gather(task, return_exceptions=True)


def at(address: str, health: str = "") -> Any:
    """A node that runs what it is told at `address`.<instance number>."""

    def behave(assignment: agent_pb.Assignment) -> agent_pb.InstanceStatus | None:
        status = obey(assignment)
        if status is not None and status.state == "running":
            status.address = f"{address}.{assignment.instance_number}"
            status.health = health
        return status

    return behave


async def tells(book: Book, wanted: dict[str, tuple[str, bool]]) -> None:
    async def told() -> bool:
        assert book.addresses() == wanted, book.addresses()
        return True

    await eventually(told)


async def deployed(world: Engine, **spec: Any) -> str:
    service_id = await world.service(**spec)
    assert (await world.finished(service_id, await world.deploy(service_id))).state == "success"
    return service_id


async def test_endpoints_follow_scale_stop_and_crash(world: Engine) -> None:
    replica = await world.start_replica()
    other = await world.start_replica()
    agent = world.attach(replica, NODE_1, behave=at("10.81.1"))
    world.attach(replica, NODE_2, behave=at("10.81.2"))
    async with following(replica.channel) as here, following(other.channel, NODE_2) as there:
        service_id = await deployed(world, instances=2)
        async with following(other.channel) as late:
            for book in (here, there, late):
                await eventually(lambda book=book: _hosts(book, {"web-1", "web-2"}))
        [endpoint] = [item for item in here.known.values() if item.hostname == "web-1"]
        assert (endpoint.service, endpoint.stack, endpoint.domainname) == ("web", "stack", "stack.g1.kontena.local")
        crashed = next(iter(agent.assigned.values()))
        status = at("10.81.1")(crashed)
        status.state, status.address = "restarting", ""
        await agent.report(status)
        await eventually(lambda: _lacks(here, crashed.instance_id))
        await agent.catch_up()
        await eventually(lambda: _has(there, crashed.instance_id))
        await world.stop(service_id)
        await tells(there, {})


async def _hosts(book: Book, wanted: set[str]) -> bool:
    return set(book.addresses()) == wanted


async def _lacks(book: Book, instance_id: str) -> bool:
    return instance_id not in book.known


async def _has(book: Book, instance_id: str) -> bool:
    return instance_id in book.known


async def test_one_with_a_health_check_is_none_before_it_is_healthy(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1, behave=at("10.81.1"))
    world.attach(replica, NODE_2, behave=at("10.81.2"))
    check = HealthCheck(protocol="tcp", port=80)
    service_id = await world.service(health_check=check)
    await world.deploy(service_id)
    async with following(replica.channel) as book:

        async def synced() -> bool:
            return book.synced > 0 and bool(agent.assigned or world.agents[1].assigned)

        await eventually(synced)
        assert book.addresses() == {}
        for node, prefix in zip(world.agents, ("10.81.1", "10.81.2"), strict=True):
            node.behave = at(prefix, "healthy")
            await node.catch_up()
        await eventually(lambda: _any(book))
        for node, prefix in zip(world.agents, ("10.81.1", "10.81.2"), strict=True):
            node.behave = at(prefix, "unhealthy")
            await node.catch_up()
        await tells(book, {})


async def _any(book: Book) -> bool:
    return bool(book.known)


async def test_those_of_a_lost_node_are_marked_and_of_a_removed_one_gone(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1, behave=at("10.81.1"))
    world.attach(replica, NODE_2, behave=at("10.81.2"))
    async with following(replica.channel, NODE_1) as here, following(replica.channel, NODE_2) as there:
        await deployed(world, instances=2)
        # The deploy is over when the nodes have told it, and followers hear of it after that.
        await eventually(lambda: _hosts(here, {"web-1", "web-2"}))
        lost = next(item for item in here.known.values() if item.node_id == NODE_2)
        world.node(NODE_2, 2, connected=False)

        async def marked() -> bool:
            return [item.hostname for item in here.known.values() if item.lost] == [lost.hostname]

        await eventually(marked)
        world.around.grids.nodes.remove(NODE_2)
        await eventually(lambda: _lacks(here, lost.instance_id))

        async def cut_off() -> bool:
            return there.failure is not None

        await eventually(cut_off)
