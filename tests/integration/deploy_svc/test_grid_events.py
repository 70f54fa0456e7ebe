"""Events of other services of the suite in the event log of their grid."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from kontena.deploy.v1 import event_log_pb2 as pb
from kontena.deploy.v1 import grid_event_pb2, grid_event_pb2_grpc
from services.clients.grid_events import GridEventDelivery
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.ids import new_id
from services.kernel.outbox import Message
from tests.integration.deploy_svc.container_agents import ContainerRest
from tests.integration.deploy_svc.stand_ins import GRID, OTHER_GRID
from tests.support.running import CLUSTER_SECRET, Running


@pytest.fixture
async def delivery(deploy: Running) -> Any:
    channel = ServiceChannel(deploy.address, ClusterTokens(CLUSTER_SECRET), "vault_svc")
    yield GridEventDelivery(channel)
    await channel.close()


def _message(text: str, grid_id: str = GRID) -> Message:
    time = datetime(2016, 12, 1, 10, 0, tzinfo=UTC).isoformat()
    payload = {"grid_id": grid_id, "type": "certificate:renew", "severity": 3, "message": text, "time": time}
    return Message(new_id(), "grid_event", payload)


async def _events(ask: ContainerRest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask.body("ListGridEventLogs", pb.ListGridEventLogsRequest(grid="g1"))).body[
        "logs"
    ]
    return found


async def test_events_are_told_once_in_their_grid(deploy: Running, delivery: GridEventDelivery) -> None:
    first, second = _message("first\0"), _message("second")
    await delivery.deliver([first, _message("elsewhere", OTHER_GRID)])
    # Told again after a crash, also twice at once.
    await asyncio.gather(*(delivery.deliver([first, second]) for _ in range(4)))
    found = await _events(ContainerRest(deploy.channel))
    assert [event["message"] for event in found] == ["first\ufffd", "second"]
    assert (found[0]["type"], found[0]["severity"]) == ("certificate:renew", 3)
    assert found[0]["created_at"].startswith("2016-12-01T10:00:00")
    assert found[0]["relationships"] == [{"id": "g1", "type": "grid"}]


async def test_users_cannot_write_events(deploy: Running) -> None:
    stub: Any = grid_event_pb2_grpc.GridEventServiceStub(deploy.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordGridEvents(
            grid_event_pb2.RecordGridEventsRequest(), metadata=(("authorization", "Bearer admin"),)
        )
    assert refused.value.code() in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
