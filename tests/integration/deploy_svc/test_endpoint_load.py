"""What it costs to tell many nodes where instances are: a process of deploy_svc, and agents that only listen."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from sys import intern
from typing import Any

import grpc
import pytest

from kontena.deploy.v1 import endpoint_pb2 as pb
from kontena.deploy.v1.endpoint_pb2_grpc import EndpointServiceStub
from services.deploy_svc.store.tables import instances
from tests.integration.deploy_svc.agents import node_metadata
from tests.integration.deploy_svc.engine_fixtures import Engine, engine
from tests.integration.deploy_svc.processes import process
from tests.integration.deploy_svc.stand_ins import GRID
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables
from tests.support.spreading import at_work, complete, spread

pytestmark = pytest.mark.slow

# Nodes with an instance each; 1,000 with `make soak`.
CROWD = 1000 if os.environ.get("KONTENA_SOAK") else 100
PER_CHANNEL = 50


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        for number in range(CROWD):
            found.node(_key(number), number + 1)
        yield found


def _key(number: int) -> str:
    return f"{number + 1:024d}"


class Listener:
    """An agent that knows the address of each instance of its grid."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.synced = False
        self.told = 0

    async def listen(self, master: grpc.aio.Channel, node_id: str) -> None:
        stub: Any = EndpointServiceStub(master)
        call = stub.WatchEndpoints(pb.WatchEndpointsRequest(), metadata=node_metadata(node_id))
        while (update := await call.read()) is not grpc.aio.EOF:
            self.told += update.ByteSize()
            for key in update.removed:
                self.addresses.pop(key, None)
            # Each text once in this process, which holds the lists of all agents.
            self.addresses.update({intern(item.instance_id): intern(item.address) for item in update.upserted})
            self.synced = self.synced or update.synced


@asynccontextmanager
async def crowd(target: str) -> AsyncIterator[list[Listener]]:
    """An agent for each node."""
    alone = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(target, options=alone) for _ in range(0, CROWD, PER_CHANNEL)]
    found = [Listener() for _ in range(CROWD)]
    work = (each.listen(channels[number // PER_CHANNEL], _key(number)) for number, each in enumerate(found))
    async with at_work(work, channels):
        yield found


async def _run_one_each(world: Engine) -> None:
    """An instance on each node that may be connected to."""
    service_id = await world.service()
    rows = [
        {
            "id": f"i{number:023d}",
            "service_id": service_id,
            "grid_id": GRID,
            "instance_number": number + 1,
            "node_id": _key(number),
            "desired_state": "running",
            "state": "running",
            "address": f"10.81.{number // 250}.{number % 250}",
            "pod": {
                "labels": {"io.kontena.service.name": "web", "io.kontena.stack.name": "stack"},
                "hostname": f"web-{number + 1}",
                "domainname": "stack.g1.kontena.local",
            },
        }
        for number in range(CROWD)
    ]
    async with world.db.transaction() as tx:
        await tx.execute(instances.insert(), rows)


@pytest.mark.timeout(240)
async def test_a_change_reaches_all_with_one_small_message(
    world: Engine, engine_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await _run_one_each(world)
    async with process(engine_url, world.around.address, "api") as served:
        empty, started = served.process.memory_info().rss, time.monotonic()
        async with crowd(served.target) as listeners:

            async def known() -> bool:
                return all(each.synced and len(each.addresses) == CROWD for each in listeners)

            await eventually(known, within=120, message="all know all")
            first = complete(time.monotonic() - started, listeners, served.process.memory_info().rss - empty)
            cost = await spread(served.process, listeners, partial(_move, world, listeners))
    with capsys.disabled():
        print(f"\nendpoints, {first}; {cost}")  # noqa: T201
    cost.check()


async def _move(world: Engine, listeners: list[Listener], number: int) -> float:
    """Give an instance another address; the seconds until all know it."""
    key, address = f"i{number:023d}", f"10.82.0.{number}"
    started = time.monotonic()
    async with world.db.transaction() as tx:
        await tx.execute(instances.update().where(instances.c.id == key).values(address=address))

    async def told() -> bool:
        return all(each.addresses[key] == address for each in listeners)

    await eventually(told)
    return time.monotonic() - started
