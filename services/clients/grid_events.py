"""Brings what happened in a grid from a service's outbox to the event log of the grid, which deploy_svc keeps."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from kontena.deploy.v1 import grid_event_pb2 as pb
from kontena.deploy.v1.grid_event_pb2_grpc import GridEventServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.db import AnyTx
from services.kernel.outbox import Message, Outbox

TOPIC = "grid_event"
INFO, WARN, ERROR = 1, 2, 3


@dataclass(frozen=True, slots=True)
class GridEvent:
    """What people are told; never holds a secret value. `type` says what happened to what, e.g. `secret:delete`."""

    grid_id: str
    type: str
    message: str
    severity: int = INFO


async def record(tx: AnyTx, outbox: Outbox, event: GridEvent) -> None:
    """Tell an event when the transaction commits."""
    await outbox.emit(tx, TOPIC, {**asdict(event), "time": datetime.now(UTC).isoformat()})


class GridEventDelivery:
    """The outbox handler of TOPIC."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(GridEventServiceStub)

    async def deliver(self, messages: list[Message]) -> None:
        """Deliver events; deploy_svc stores each once by its message id."""
        await self._stub.RecordGridEvents(pb.RecordGridEventsRequest(events=[_event(one) for one in messages]))


def _event(message: Message) -> pb.GridEvent:
    fields: dict[str, Any] = dict(message.payload)
    time = Timestamp()
    time.FromDatetime(datetime.fromisoformat(fields.pop("time")))
    return pb.GridEvent(id=message.id, time=time, **fields)
