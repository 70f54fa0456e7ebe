"""Sends log lines to the fluentd that the grid names, besides to the master."""

import asyncio
from collections import deque
from collections.abc import Mapping

from agent.domain import fluent, labels
from agent.streams.calls import until_first
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2
from services.kernel.logs import get_logger

log = get_logger(__name__)

_MOST_LINES = 2000
_BATCH = 200
_PATIENCE_SECONDS = 10.0


class LogForwarder:
    """Never holds up the lines on their way to the master. What fluentd does not take in time is lost, the oldest
    first, and the loss is logged. fluentd confirms nothing, so what was being sent when a connection broke may arrive
    twice or never."""

    def __init__(self, node: node_session_pb2.NodeDescription | None = None) -> None:
        self._endpoint: fluent.Endpoint | None = None
        self._events: deque[bytes] = deque()
        self._lost = 0
        self._filled = asyncio.Event()
        self._changed = asyncio.Event()
        self.describe_node(node or node_session_pb2.NodeDescription())

    def describe_node(self, node: node_session_pb2.NodeDescription) -> None:
        """The node and its grid are like this now."""
        self._node = node
        endpoint = fluent.endpoint(node.logs.forwarder, node.logs.opts)
        if node.logs.forwarder and endpoint is None:
            log.error("logs are not forwarded: the grid's fluentd-address names no host and port")
        if endpoint != self._endpoint:
            self._endpoint = endpoint
            self._events.clear()
            self._changed.set()

    def offer(self, line: pb.LogLine, of: Mapping[str, str]) -> None:
        """Forward a line of a container with the labels `of`, if the grid wants that."""
        if self._endpoint is None:
            return
        if len(self._events) >= _MOST_LINES:
            self._events.popleft()
            self._lost += 1
        stack, service = of.get(labels.STACK_NAME, ""), of.get(labels.SERVICE_NAME, "")
        node, grid, number = self._node.name, self._node.grid, line.instance_number
        record: dict[str, str | int] = {
            "log": line.data,
            "source": line.type,
            "node": node,
            "grid": grid,
            "stack": stack,
            "service": service,
            "instance_number": number,
        }
        tag = f"{node}.{grid}.{stack}.{service}.{number}"
        self._events.append(fluent.event(tag, line.time.seconds, record))
        self._filled.set()

    async def run(self) -> None:
        """Forward for ever. Raises when fluentd cannot be reached; the supervisor calls it again."""
        while True:
            self._changed.clear()
            if self._endpoint is None:
                await self._changed.wait()
            else:
                await self._forward(self._endpoint)

    async def _forward(self, to: fluent.Endpoint) -> None:
        """Forward until the grid wants its logs elsewhere."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(to.host, to.port)
        log.info("logs are forwarded", host=to.host, port=to.port)
        try:
            await until_first(self._send(writer), _closed(reader), _done(self._changed))
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._filled.wait()
            if self._changed.is_set():
                # What waits is for another endpoint.
                return
            batch = [self._events.popleft() for _ in range(min(_BATCH, len(self._events)))]
            if not self._events:
                self._filled.clear()
            try:
                writer.write(b"".join(batch))
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await writer.drain()
            except BaseException:
                self._events.extendleft(reversed(batch))
                self._filled.set()
                raise
            if self._lost:
                log.warning("log lines were not forwarded", lost=self._lost)
                self._lost = 0


async def _closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass
    raise ConnectionError("fluentd closed the connection")


async def _done(event: asyncio.Event) -> None:
    await event.wait()
