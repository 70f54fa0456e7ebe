"""A node's log stream, as its agent holds it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1 import assignment_pb2_grpc
from services.deploy_svc.store import tables
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.ids import new_id
from services.kernel.principal import NodeSession
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1
from tests.support.running import CLUSTER_SECRET

# Of instances that no test deploys.
_FREE = 1000
_FREE_NUMBERS = itertools.count(_FREE)
START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def node_metadata(node_id: str = NODE_1, grid_id: str = GRID, session: int = 1) -> tuple[tuple[str, str], ...]:
    token = ClusterTokens(CLUSTER_SECRET).for_node(NodeSession(grid_id, node_id, session))
    return (("authorization", f"Bearer {token}"),)


async def placed(db: Database, service_id: str, *node_ids: str) -> None:
    """Give each of the nodes an instance of the service, so that they may speak of it."""
    rows = [
        {
            "id": new_id(),
            "service_id": service_id,
            "grid_id": GRID,
            "instance_number": next(_FREE_NUMBERS),
            "node_id": node_id,
        }
        for node_id in node_ids
    ]
    async with db.transaction() as tx:
        await tx.execute(tables.instances.insert(), rows)


@asynccontextmanager
async def running_it(db: Database, service_id: str, node_id: str) -> AsyncIterator[None]:
    """The node runs an instance of the service while the block runs, and of its containers it may speak afterwards."""
    await placed(db, service_id, node_id)
    try:
        yield
    finally:
        instances = tables.instances
        async with db.transaction() as tx:
            await tx.execute(
                instances.delete().where(instances.c.service_id == service_id, instances.c.instance_number >= _FREE)
            )


def log_line(data: str, at: float = 0.0, **changed: Any) -> pb.LogLine:
    line = pb.LogLine(container_name="web-1", container_id="c" * 64, instance_number=1, type="stdout", data=data)
    line.time.FromDatetime(START + timedelta(seconds=at))
    line.MergeFrom(pb.LogLine(**changed))
    return line


class LogPusher:
    """`push` returns when the batch is confirmed, and raises AioRpcError when the stream is refused."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._sequence = 0

    async def push(self, lines: Sequence[pb.LogLine]) -> None:
        self._sequence += 1
        await self._stream.write(pb.PushLogsRequest(sequence=self._sequence, lines=lines))
        async with asyncio.timeout(30):
            response = await self._stream.read()
        assert response is not grpc.aio.EOF
        assert response.sequence == self._sequence

    async def read(self) -> None:
        """Raises why the stream is refused, also where it ended before anything could be written."""
        async with asyncio.timeout(30):
            await self._stream.read()


@asynccontextmanager
async def log_pusher(channel: grpc.aio.Channel, token: str = "", **session: Any) -> AsyncIterator[LogPusher]:
    stub: Any = assignment_pb2_grpc.LogIngestServiceStub(channel)
    own = (("authorization", f"Bearer {token}"),)
    stream = stub.PushLogs(metadata=own if token else node_metadata(**session))
    try:
        yield LogPusher(stream)
    finally:
        stream.cancel()
