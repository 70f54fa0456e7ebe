"""Large answers asked for in parallel. The service runs in a process of its own: its memory is what is measured."""

import asyncio
from typing import Any

import grpc
import pytest

from kontena.deploy.v1 import service_pb2 as pb
from kontena.deploy.v1.service_pb2_grpc import ServiceServiceStub
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.store import services
from services.kernel.db import Database
from tests.integration.deploy_svc.processes import Served, process
from tests.integration.deploy_svc.stand_ins import GRID, Neighbours

MIB = 1 << 20
LISTS, SERVICES = 40, 5
OPTIONS = (("grpc.max_receive_message_length", 64 * MIB),)


async def _fill(db: Database) -> None:
    """Services of as many small parts as a request may have: they take many times their bytes while they are read."""
    env = tuple(f"V{number}=" for number in range(45_000))
    spec = ServiceSpec(image="busybox:1", stateful=False, env=env)
    for number in range(SERVICES):
        async with db.transaction() as tx:
            await services.insert(tx, grid_id=GRID, grid="g1", stack="null", name=f"s-{number}", spec=spec)


async def _lists(served: Served) -> list[int | grpc.StatusCode]:
    """The sizes of all answers, or why there was none, when as many clients ask at once."""

    async def one() -> int | grpc.StatusCode:
        async with grpc.aio.insecure_channel(served.target, options=OPTIONS) as channel:
            stub: Any = ServiceServiceStub(channel)
            metadata = (("authorization", "bearer member"),)
            try:
                answer = await stub.ListServices(pb.ListServicesRequest(grid="g1"), metadata=metadata, timeout=120)
            except grpc.aio.AioRpcError as error:
                return error.code()
            return int(answer.ByteSize())

    return await asyncio.gather(*(one() for _ in range(LISTS)))


class Peak:
    """`async with Peak(process) as peak:` looks at its memory until the block ends."""

    def __init__(self, served: Served) -> None:
        self._process = served.process
        self._before = self._process.memory_info().rss
        self.growth = 0.0

    async def _look(self) -> None:
        while True:
            self.growth = max(self.growth, (self._process.memory_info().rss - self._before) / MIB)
            await asyncio.sleep(0.02)

    async def __aenter__(self) -> "Peak":
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


@pytest.mark.timeout(300)
async def test_lists_in_parallel_take_the_memory_of_a_few(
    deploy_url: str, deploy_neighbours: Neighbours, deploy_db: Database
) -> None:
    await _fill(deploy_db)
    async with process(deploy_url, deploy_neighbours.address, "api") as served, Peak(served) as peak:
        sizes = await _lists(served)
    # On a slow machine some may be told to come again.
    assert {size for size in sizes if not isinstance(size, int)} <= {grpc.StatusCode.UNAVAILABLE}
    assert any(isinstance(size, int) and size > 1.5 * MIB for size in sizes)
    assert peak.growth < 120, "MiB"
