"""Delivers log lines to the master in batches; what was not confirmed is sent again."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

import grpc

from agent.logs.line_queue import Line, LineQueue
from agent.logs.positions import LogPositions
from agent.streams.calls import StreamEnded, until_first, write
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1 import assignment_pb2_grpc

_BATCH_LINES = 500
# The master counts the elements of what is larger than 100,000 bytes one by one, and stores batches that wait together.
_BATCH_BYTES = 96_000
_UNCONFIRMED_BATCHES = 16
_GATHER_SECONDS = 0.02
_ACK_SECONDS = 30.0


@dataclass(slots=True)
class _Batch:
    lines: list[Line]
    sequence: int = 0


class LogShipper:
    """Takes lines from the queue only as fast as the master confirms them."""

    def __init__(
        self, channel: grpc.aio.Channel, membership: Membership, queue: LineQueue, positions: LogPositions
    ) -> None:
        self._stub = assignment_pb2_grpc.LogIngestServiceStub(channel)
        self._membership = membership
        self._queue = queue
        self._positions = positions
        self._unconfirmed: deque[_Batch] = deque()
        self._sent = asyncio.Event()
        self._confirmed = asyncio.Event()

    async def run(self) -> None:
        """Never returns: whatever happens, it connects again when there are lines."""
        await keep_trying("logs", self._membership, self._push)

    async def _push(self, joined: Joined) -> None:
        if not self._unconfirmed:
            await self._queue.filled()
        self._sent.clear()
        for batch in self._unconfirmed:
            batch.sequence = 0
        call: Any = self._stub.PushLogs(metadata=joined.metadata)
        try:
            await until_first(self._send(call), self._receive(call), self._membership.superseded(joined.epoch))
        finally:
            call.cancel()

    async def _send(self, call: Any) -> None:
        sequence = 0
        for batch in list(self._unconfirmed):
            sequence += 1
            await self._write(call, batch, sequence)
        while True:
            await self._queue.filled()
            if not self._queue.holds(_BATCH_LINES, _BATCH_BYTES):
                await asyncio.sleep(_GATHER_SECONDS)
            while len(self._unconfirmed) >= _UNCONFIRMED_BATCHES:
                self._confirmed.clear()
                await self._confirmed.wait()
            lines = self._queue.take(_BATCH_LINES, _BATCH_BYTES)
            if lines:
                sequence += 1
                batch = _Batch(lines)
                self._unconfirmed.append(batch)
                await self._write(call, batch, sequence)

    async def _write(self, call: Any, batch: _Batch, sequence: int) -> None:
        batch.sequence = sequence
        self._sent.set()
        await write(call, pb.PushLogsRequest(sequence=sequence, lines=[item.line for item in batch.lines]))

    async def _receive(self, call: Any) -> None:
        while True:
            await self._sent.wait()
            try:
                async with asyncio.timeout(_ACK_SECONDS):
                    response = await call.read()
            except TimeoutError:
                raise StreamEnded(f"a batch was not confirmed within {_ACK_SECONDS:.0f} s") from None
            if response is grpc.aio.EOF:
                raise StreamEnded("the master ended the log stream")
            self._confirm(response.sequence)

    def _confirm(self, sequence: int) -> None:
        while self._unconfirmed and 0 < self._unconfirmed[0].sequence <= sequence:
            reached = {item.line.container_id: item.after for item in self._unconfirmed.popleft().lines}
            for container_id, after in reached.items():
                self._positions.advance(container_id, after)
        if not self._unconfirmed:
            self._sent.clear()
        self._confirmed.set()
