"""Brings audit events from a service's outbox to auth_svc."""

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from kontena.auth.v1 import audit_pb2 as pb
from kontena.auth.v1.audit_pb2_grpc import AuditIngestServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.outbox import Message


class AuditDelivery:
    """The outbox handler of the topic `audit`."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(AuditIngestServiceStub)

    async def deliver(self, messages: list[Message]) -> None:
        """Deliver events; auth_svc stores each once by its message id."""
        await self._stub.RecordAuditEvents(pb.RecordAuditEventsRequest(events=[event(m) for m in messages]))


def event(message: Message) -> pb.AuditEvent:
    """The wire form of an audit message."""
    fields: dict[str, Any] = dict(message.payload)
    time = Timestamp()
    time.FromDatetime(datetime.fromisoformat(fields.pop("time")))
    return pb.AuditEvent(id=message.id, time=time, **fields)
