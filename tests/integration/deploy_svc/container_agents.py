"""What an agent says of its containers, and how it answers commands."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from kontena.deploy.v1 import (
    container_exec_pb2_grpc,
    container_log_pb2_grpc,
    container_pb2,
    container_pb2_grpc,
    container_report_pb2_grpc,
    event_log_pb2_grpc,
    instance_pb2_grpc,
    node_command_pb2_grpc,
    stats_pb2_grpc,
)
from kontena.deploy.v1 import container_report_pb2 as report_pb
from kontena.deploy.v1 import event_log_pb2 as event_pb
from kontena.deploy.v1 import node_command_pb2 as command_pb
from tests.integration.deploy_svc.agents import START, node_metadata
from tests.integration.deploy_svc.rest import Answer, answer, body_fields, refusal

_STUBS = (
    container_pb2_grpc.ContainerServiceStub,
    instance_pb2_grpc.InstanceServiceStub,
    container_log_pb2_grpc.ContainerLogServiceStub,
    event_log_pb2_grpc.EventLogServiceStub,
    stats_pb2_grpc.ContainerStatsServiceStub,
    container_exec_pb2_grpc.ContainerExecServiceStub,
)


class ContainerRest:
    """The REST API of containers with one user's token: `await rest("GetContainer", request)`."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None = "member") -> None:  # noqa: S107 -- the name of a user.
        self._stubs: list[Any] = [make(channel) for make in _STUBS]
        self.metadata = (("authorization", f"bearer {token}"),) if token else ()

    async def __call__(self, method: str, request: Any, body: dict[str, Any] | None = None) -> Answer:
        """The answer of a unary call."""
        metadata = self.metadata
        if body is not None:
            ParseDict(body, request, ignore_unknown_fields=True)
            metadata = (*metadata, ("x-body-fields", ",".join(body_fields(body))))
        return await answer(self.method(method)(request, metadata=metadata))

    async def body(self, method: str, request: Any) -> Answer:
        """The answer of a call that gives a body of its own, in one message or in pieces."""
        try:
            pieces = self.method(method)(request, metadata=self.metadata)
            data = b""
            if hasattr(pieces, "__aiter__"):
                async for piece in pieces:
                    assert piece.content_type == "application/json"
                    data += piece.data
            else:
                data = (await pieces).data
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        return Answer(200, json.loads(data))

    async def follow(self, method: str, request: Any) -> AsyncIterator[dict[str, Any] | None]:
        """Documents as they arrive; None for a keep-alive."""
        async for piece in self.method(method)(request, metadata=self.metadata):
            assert piece.data.endswith(b"\n")
            yield json.loads(piece.data) if piece.data.strip() else None

    def method(self, name: str) -> Any:
        return next(getattr(stub, name) for stub in self._stubs if hasattr(stub, name))


def container(name: str = "web-1", service_id: str = "", **changed: Any) -> report_pb.ContainerReport:
    """A running container."""
    labels = {
        "io.kontena.container.type": "container",
        "io.kontena.service.id": service_id,
        "io.kontena.service.instance_number": name.rpartition("-")[2],
        "io.kontena.container.deploy_rev": "r1",
        "io.kontena.container.service_revision": "3",
        **changed.pop("labels", {}),
    }
    found = report_pb.ContainerReport(
        container_id=name.encode().hex().ljust(64, "0"),
        name=name,
        labels=labels,
        image="busybox:1",
        cmd=["httpd", "-f"],
        hostname=name,
        state=container_pb2.ContainerState(running=True, pid=77),
    )
    found.created_at.FromDatetime(START)
    found.started_at.FromDatetime(START)
    found.MergeFrom(report_pb.ContainerReport(**changed))
    return found


class ContainerPusher:
    """`push` returns when the batch is confirmed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._sequence = 0

    async def push(self, *containers: report_pb.ContainerReport, removed: Sequence[str] = ()) -> None:
        await self._send(report_pb.ReportContainersRequest(containers=containers, removed=removed))

    async def snapshot(self, *containers: report_pb.ContainerReport, present: Sequence[str] = ()) -> None:
        """These and those named in `present`, of which nothing else is said."""
        present = [*present, *(item.container_id for item in containers)]
        await self._send(report_pb.ReportContainersRequest(snapshot=True, present=present, containers=containers))

    async def _send(self, request: report_pb.ReportContainersRequest) -> None:
        self._sequence += 1
        request.sequence = self._sequence
        await self._stream.write(request)
        async with asyncio.timeout(30):
            response = await self._stream.read()
        assert response is not grpc.aio.EOF
        assert response.sequence == self._sequence


@asynccontextmanager
async def container_pusher(channel: grpc.aio.Channel, **session: Any) -> AsyncIterator[ContainerPusher]:
    stub: Any = container_report_pb2_grpc.ContainerReportServiceStub(channel)
    stream = stub.ReportContainers(metadata=node_metadata(**session))
    try:
        yield ContainerPusher(stream)
    finally:
        stream.cancel()


Reply = Callable[[command_pb.NodeCommand], Sequence[command_pb.NodeCommandEvent]]


class CommandAgent:
    """A node on the command stream: `reply` answers what begins a command; everything is kept in `orders`."""

    def __init__(self, stream: Any, reply: Reply) -> None:
        self._stream = stream
        self._reply = reply
        # Two writes at once would end the call.
        self._writing = asyncio.Lock()
        self.orders: list[command_pb.NodeCommand] = []

    async def run(self) -> None:
        while (order := await self._stream.read()) is not grpc.aio.EOF:
            self.orders.append(order)
            await self.say(order, *self._reply(order))

    async def say(self, order: command_pb.NodeCommand, *events: command_pb.NodeCommandEvent) -> None:
        """Answer an order."""
        for event in events:
            event.id = order.id
            async with self._writing:
                await self._stream.write(event)

    def leave(self) -> None:
        """Break the stream off."""
        self._stream.cancel()

    def kinds(self) -> list[str | None]:
        return [order.WhichOneof("message") for order in self.orders]


@asynccontextmanager
async def command_agent(channel: grpc.aio.Channel, reply: Reply, **session: Any) -> AsyncIterator[CommandAgent]:
    stub: Any = node_command_pb2_grpc.NodeCommandServiceStub(channel)
    stream = stub.AttachCommands(metadata=node_metadata(**session))
    agent = CommandAgent(stream, reply)
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        stream.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def output(data: str, stream: str = "stdout") -> command_pb.NodeCommandEvent:
    return command_pb.NodeCommandEvent(output=command_pb.ExecOutput(stream=stream, data=data.encode()))


def exited(code: int = 0) -> command_pb.NodeCommandEvent:
    return command_pb.NodeCommandEvent(exit=command_pb.ExecExit(code=code))


def result(text: str) -> command_pb.NodeCommandEvent:
    return command_pb.NodeCommandEvent(result=command_pb.CommandResult(json=text))


def failed(kind: str, message: str = "no") -> command_pb.NodeCommandEvent:
    return command_pb.NodeCommandEvent(error=command_pb.CommandError(kind=kind, message=message))


class EventPusher:
    """Sends events of a node; numbers go on over several batches."""

    def __init__(self, channel: grpc.aio.Channel, process: str = "p1", **session: Any) -> None:
        self._stub: Any = event_log_pb2_grpc.EventIngestServiceStub(channel)
        self._metadata = node_metadata(**session)
        self._process = process
        self._number = 0

    def event(self, service_id: str, message: str, **changed: Any) -> event_pb.NodeEvent:
        self._number += 1
        found = event_pb.NodeEvent(
            id=f"{self._process}/{self._number:012d}",
            service_id=service_id,
            instance_number=1,
            severity=1,
            type="service:create_instance",
            message=message,
        )
        found.time.FromDatetime(START)
        found.MergeFrom(event_pb.NodeEvent(**changed))
        return found

    async def push(self, *events: event_pb.NodeEvent) -> None:
        await self._stub.PushEvents(event_pb.PushEventsRequest(events=events), metadata=self._metadata)
