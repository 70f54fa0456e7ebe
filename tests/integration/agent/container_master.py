"""A master that also takes what nodes tell of their containers, and gives them commands."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from kontena.deploy.v1 import container_report_pb2 as report_pb
from kontena.deploy.v1 import (
    container_report_pb2_grpc,
    event_log_pb2,
    event_log_pb2_grpc,
    node_command_pb2_grpc,
    stats_pb2,
    stats_pb2_grpc,
)
from kontena.deploy.v1 import node_command_pb2 as pb
from tests.integration.agent.stand_in_master import UNKNOWN_FIELD, Master
from tests.support.eventually import eventually


class ContainerMaster(
    Master,
    container_report_pb2_grpc.ContainerReportServiceServicer,
    node_command_pb2_grpc.NodeCommandServiceServicer,
    event_log_pb2_grpc.EventIngestServiceServicer,
    stats_pb2_grpc.StatsIngestServiceServicer,
):
    """`mirror` holds the containers by name; `ask` runs a command on the node."""

    def __init__(self) -> None:
        super().__init__()
        self.mirror: dict[str, report_pb.ContainerReport] = {}
        self.snapshots = 0
        # Cleared, it keeps the agent waiting for the confirmation of its next snapshot.
        self.takes_snapshots = asyncio.Event()
        self.takes_snapshots.set()
        self.reported = b""
        self.events: list[event_log_pb2.NodeEvent] = []
        self.samples: dict[str, stats_pb2.ContainerSample] = {}
        self._orders: asyncio.Queue[pb.NodeCommand] = asyncio.Queue()
        self._answers: dict[str, asyncio.Queue[pb.NodeCommandEvent]] = {}
        self.attached_commands = 0

    def register(self, server: grpc.aio.Server) -> None:
        container_report_pb2_grpc.add_ContainerReportServiceServicer_to_server(self, server)
        node_command_pb2_grpc.add_NodeCommandServiceServicer_to_server(self, server)
        event_log_pb2_grpc.add_EventIngestServiceServicer_to_server(self, server)
        stats_pb2_grpc.add_StatsIngestServiceServicer_to_server(self, server)

    async def ReportContainers(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in request_iterator:
            self.reported += request.SerializeToString()
            if request.snapshot:
                self.snapshots += 1
                self.mirror = {k: v for k, v in self.mirror.items() if v.container_id in request.present}
                await self.takes_snapshots.wait()
            gone = set(request.removed) | {item.container_id for item in request.containers}
            self.mirror = {k: v for k, v in self.mirror.items() if v.container_id not in gone}
            self.mirror |= {item.name: item for item in request.containers}
            yield report_pb.ReportContainersResponse(sequence=request.sequence)

    async def AttachCommands(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        self.attached_commands += 1

        async def read() -> None:
            async for event in request_iterator:
                if event.id in self._answers:
                    self._answers[event.id].put_nowait(event)

        reader = asyncio.create_task(read())
        try:
            while True:
                yield await self._orders.get()
        finally:
            reader.cancel()

    async def PushEvents(self, request: Any, context: Any) -> Any:
        self.events.extend(request.events)
        return event_log_pb2.PushEventsResponse()

    async def PushStats(self, request: Any, context: Any) -> Any:
        self.samples.update({item.container_id: item for item in request.samples})
        return stats_pb2.PushStatsResponse()

    def ask(self, **order: Any) -> "Asked":
        """Begin a command, e.g. `exec=ExecCommand(...)`."""
        asked = Asked(str(len(self._answers)), self._orders)
        self._answers[asked.id] = asked.answers
        asked.send(**order)
        return asked

    def ask_of_the_future(self) -> "Asked":
        """Begin a command that this release does not know: it stands in a field with another number."""
        asked = Asked(str(len(self._answers)), self._orders)
        self._answers[asked.id] = asked.answers
        known = pb.NodeCommand(id=asked.id).SerializeToString()
        self._orders.put_nowait(pb.NodeCommand.FromString(known + UNKNOWN_FIELD))
        return asked

    async def mirrored(self, name: str, *, running: bool = True) -> report_pb.ContainerReport:
        async def found() -> report_pb.ContainerReport | None:
            item = self.mirror.get(name)
            return item if item is not None and item.state.running is running else None

        item = await eventually(found, message=f"{name} in the mirror")
        assert item is not None
        return item


class Asked:
    """A command under way."""

    def __init__(self, command_id: str, orders: "asyncio.Queue[pb.NodeCommand]") -> None:
        self.id = command_id
        self.answers: asyncio.Queue[pb.NodeCommandEvent] = asyncio.Queue()
        self._orders = orders
        self.confirmed = 0

    def send(self, **order: Any) -> None:
        self._orders.put_nowait(pb.NodeCommand(id=self.id, **order))

    async def next(self) -> pb.NodeCommandEvent:
        async with asyncio.timeout(60):
            while (event := await self.answers.get()).WhichOneof("message") == "read":
                self.confirmed += event.read.size
        return event

    async def outcome(self) -> tuple[bytes, bytes, pb.NodeCommandEvent]:
        """What it printed to each stream, and its last answer."""
        printed = {"stdout": b"", "stderr": b""}
        while True:
            event = await self.next()
            if event.WhichOneof("message") != "output":
                return printed["stdout"], printed["stderr"], event
            printed[event.output.stream] += event.output.data
            self.send(read=pb.ReadOutput(size=len(event.output.data)))
