"""Delivers events about instances to the master, in order; what was not confirmed is sent again."""

import asyncio
import secrets
import time
from collections import deque
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain.labels import InstanceKey
from agent.site import Severity
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import event_log_pb2 as pb
from kontena.deploy.v1 import event_log_pb2_grpc
from services.kernel.logs import get_logger

log = get_logger(__name__)

_MOST_KEPT = 2000
_BATCH = 200
_GATHER_SECONDS = 0.02
_SECONDS = 15.0
_SEVERITIES: dict[Severity, int] = {"debug": 0, "info": 1, "warn": 2, "error": 3}


class EventShipper:
    """Keeps the newest events while the master is away."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership) -> None:
        self._stub: Any = event_log_pb2_grpc.EventIngestServiceStub(channel)
        self._membership = membership
        self._events: deque[pb.NodeEvent] = deque(maxlen=_MOST_KEPT)
        self._filled = asyncio.Event()
        # Numbers begin again with each process; the master tells them apart by this.
        self._process = secrets.token_hex(8)
        self._number = 0

    def put(self, key: InstanceKey, severity: Severity, kind: str, message: str) -> None:
        """Take an event; the message holds no secret value."""
        log.info(
            "instance event", instance=f"{key.service_id}/{key.number}", severity=severity, kind=kind, text=message
        )
        self._number += 1
        now = Timestamp()
        now.FromNanoseconds(time.time_ns())
        self._events.append(
            pb.NodeEvent(
                id=f"{self._process}/{self._number:012d}",
                service_id=key.service_id,
                instance_number=key.number,
                severity=_SEVERITIES[severity],
                type=kind,
                message=message,
                time=now,
            )
        )
        self._filled.set()

    async def run(self) -> None:
        """Never returns."""
        await keep_trying("events", self._membership, self._push)

    async def _push(self, joined: Joined) -> None:
        await self._filled.wait()
        await asyncio.sleep(_GATHER_SECONDS)
        batch = list(self._events)[:_BATCH]
        if batch:
            await self._stub.PushEvents(pb.PushEventsRequest(events=batch), metadata=joined.metadata, timeout=_SECONDS)
        last = batch[-1].id if batch else ""
        while self._events and self._events[0].id <= last:
            self._events.popleft()
        if not self._events:
            self._filled.clear()
