"""The master as an agent sees it: the real generated servicers, scripted by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1 import assignment_pb2_grpc
from kontena.grid.v1 import node_session_pb2 as session_pb
from kontena.grid.v1 import node_session_pb2_grpc
from services.kernel.server import OPTIONS
from tests.support.eventually import eventually
from tests.support.ports import free_port

NODE_ID = "5f" * 12
NONCE = bytes(range(32))
# A text in field 100: what a newer release may say in any message.
UNKNOWN_FIELD = b"\xa2\x06\x03new"
# An agent that starts, a few containers after another, and tries that are more than ten seconds apart.
_PATIENCE = 90.0


class Master(
    node_session_pb2_grpc.NodeSessionServiceServicer,
    assignment_pb2_grpc.AssignmentServiceServicer,
    assignment_pb2_grpc.LogIngestServiceServicer,
):
    """Used as `async with`. `stop` and `start` keep the port."""

    def __init__(self, node_id: str = NODE_ID, tls: grpc.ServerCredentials | None = None) -> None:
        self._tls = tls
        self.node_id = node_id
        self.heartbeat_seconds = 0.2
        # When set, joins are refused with this reason.
        self.refusal = ""
        # Of the network between nodes; masters of older releases say nothing of one.
        self.network_mode = ""
        # Masters of older releases ask for no proof.
        self.challenges = True
        self.proofs: list[bytes] = []
        self.silent = False
        self.confirms = True
        # Whether a confirmation comes before the snapshot, as masters of older releases may send it.
        self.confirms_early = False
        self.hellos: list[session_pb.Hello] = []
        self.join_metadata: list[dict[str, Any]] = []
        self.infos: list[session_pb.NodeInfo] = []
        self.stats: list[Any] = []
        self.heartbeats = 0
        self.attached = 0
        # Batches of lines that the newest stream brought.
        self.pushes = 0
        self.assigned: dict[str, pb.Assignment] = {}
        self.statuses: dict[str, pb.InstanceStatus] = {}
        self.history: list[pb.InstanceStatus] = []
        self.sequences: list[int] = []
        self.lines: list[pb.LogLine] = []
        # One-shot hooks that agents said they start; while `answers_hooks` is false they wait for an answer.
        self.started_hooks: list[tuple[str, str]] = []
        self.answers_hooks = True
        self.tokens: set[str] = set()
        self._outgoing: set[asyncio.Queue[pb.AttachResponse]] = set()
        self._server: grpc.aio.Server | None = None
        self._open: dict[str, set[asyncio.Event]] = {"Connect": set(), "Attach": set(), "PushLogs": set()}
        self.port = free_port()

    @property
    def listening(self) -> int:
        """How many agents have an assignment stream open."""
        return len(self._outgoing)

    @property
    def uri(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Master":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        server = grpc.aio.server(options=OPTIONS)
        node_session_pb2_grpc.add_NodeSessionServiceServicer_to_server(self, server)
        assignment_pb2_grpc.add_AssignmentServiceServicer_to_server(self, server)
        assignment_pb2_grpc.add_LogIngestServiceServicer_to_server(self, server)
        self.register(server)
        address = f"127.0.0.1:{self.port}"
        self.port = server.add_secure_port(address, self._tls) if self._tls else server.add_insecure_port(address)
        await server.start()
        self._server = server

    def register(self, server: grpc.aio.Server) -> None:
        """Serve more, in a subclass."""

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(0)

    def cut(self, stream: str = "") -> None:
        """Break open streams: Connect, Attach or PushLogs, or all of them."""
        for name, cuts in self._open.items():
            if stream in ("", name):
                for cut in cuts:
                    cut.set()

    # What the test says and asks.

    def assign(self, *assignments: pb.Assignment) -> None:
        """Publish assignments as a delta; they are part of later snapshots."""
        self.assigned.update({item.instance_id: item for item in assignments})
        self.tell(pb.AttachResponse(delta=pb.Delta(upserted=assignments)))

    def withdraw(self, *instance_ids: str) -> None:
        """Publish that instances left the node."""
        for instance_id in instance_ids:
            self.assigned.pop(instance_id, None)
        self.tell(pb.AttachResponse(delta=pb.Delta(removed=instance_ids)))

    def tell(self, message: pb.AttachResponse) -> None:
        """Say this to the agents that are attached."""
        for queue in self._outgoing:
            queue.put_nowait(message)

    async def status(self, assignment: pb.Assignment, accept: Callable[[pb.InstanceStatus], bool]) -> pb.InstanceStatus:
        """The status of the assignment's rollout that `accept` takes, once the agent reports it."""

        async def reported() -> pb.InstanceStatus | None:
            status = self.statuses.get(assignment.instance_id)
            assert status is not None, "nothing was reported"
            fits = status.rev == assignment.deploy_rev and accept(status)
            assert fits, f"last report: {status}"
            return status

        found = await eventually(reported, within=_PATIENCE, message=f"the status of {assignment.pod.container_name}")
        assert found is not None
        return found

    async def running(self, assignment: pb.Assignment) -> pb.InstanceStatus:
        return await self.status(assignment, lambda status: status.state == "running" and not status.error)

    def texts(self, container_name: str, kind: str = "") -> list[str]:
        return [
            line.data
            for line in self.lines
            if line.container_name == container_name and (not kind or line.type == kind)
        ]

    # What the agent calls.

    async def Connect(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        requests = self._until_cut("Connect", request_iterator, context)
        self.join_metadata.append(dict(context.invocation_metadata()))
        if self.refusal:
            await refuse(context, self.refusal)
        async for request in requests:
            match request.WhichOneof("message"):
                case "hello" if self.challenges:
                    self.hellos.append(request.hello)
                    yield session_pb.ConnectResponse(challenge=session_pb.KeyChallenge(nonce=NONCE))
                case "hello":
                    self.hellos.append(request.hello)
                    yield session_pb.ConnectResponse(welcome=self._welcome())
                case "proof":
                    self.proofs.append(request.proof.signature)
                    yield session_pb.ConnectResponse(welcome=self._welcome())
                case "info":
                    self.infos.append(request.info)
                case "stats":
                    self.stats.append(request.stats)
                case "heartbeat":
                    self.heartbeats += 1
                    if not self.silent:
                        reply = session_pb.HeartbeatReply()
                        reply.heartbeat_period.FromMilliseconds(int(self.heartbeat_seconds * 1000))
                        yield session_pb.ConnectResponse(heartbeat=reply)

    def _welcome(self) -> session_pb.Welcome:
        token = f"session-{len(self.hellos)}"
        self.tokens = {token}
        node = session_pb.NodeDescription(
            id=self.node_id, name="node-1", node_number=1, grid_id="9" * 24, grid="main", overlay_ip="10.81.0.1"
        )
        node.network.mode = self.network_mode
        welcome = session_pb.Welcome(session_token=token, node=node)
        welcome.heartbeat_period.FromMilliseconds(int(self.heartbeat_seconds * 1000))
        return welcome

    async def Attach(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await self._authenticate(context)
        queue: asyncio.Queue[pb.AttachResponse] = asyncio.Queue()
        messages = self._until_cut("Attach", _drain(queue), context)
        # From here on the test may say something to the stream, or cut it.
        self._outgoing.add(queue)
        self.attached += 1
        reader = asyncio.create_task(self._read_reports(request_iterator, queue))
        try:
            if self.confirms_early:
                yield pb.AttachResponse(ack=pb.ReportAck(sequence=0))
            yield pb.AttachResponse(snapshot=pb.Snapshot(assignments=self.assigned.values()))
            async for message in messages:
                yield message
        finally:
            self._outgoing.discard(queue)
            reader.cancel()

    async def _read_reports(self, requests: AsyncIterator[Any], queue: asyncio.Queue[pb.AttachResponse]) -> None:
        async for request in requests:
            if request.WhichOneof("message") == "hook_started":
                self._record_hooks(request.hook_started, queue)
                continue
            report = request.report
            self.sequences.append(report.sequence)
            for status in report.statuses:
                self.statuses[status.instance_id] = status
                self.history.append(status)
            queue.put_nowait(pb.AttachResponse(ack=pb.ReportAck(sequence=report.sequence)))

    def _record_hooks(self, asked: pb.HookStarted, queue: asyncio.Queue[pb.AttachResponse]) -> None:
        if not self.answers_hooks:
            return
        run = [hook for hook in asked.hook_ids if (asked.instance_id, hook) not in self.started_hooks]
        self.started_hooks.extend((asked.instance_id, hook) for hook in run)
        queue.put_nowait(pb.AttachResponse(hook_started=pb.HookStartedAck(sequence=asked.sequence, run=run)))

    async def PushLogs(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await self._authenticate(context)
        self.pushes = 0
        async for request in self._until_cut("PushLogs", request_iterator, context):
            self.pushes += 1
            if self.confirms:
                self.lines.extend(request.lines)
                yield pb.PushLogsResponse(sequence=request.sequence)

    async def _authenticate(self, context: Any) -> None:
        token = dict(context.invocation_metadata()).get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid token")

    def _until_cut(self, name: str, messages: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """The messages until they end, or until the test cuts the stream, which aborts the call. Cuts count from this
        call on, not from the first message."""
        cut = asyncio.Event()
        self._open[name].add(cut)
        return self._passed_on(name, cut, messages, context)

    async def _passed_on(
        self, name: str, cut: asyncio.Event, messages: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        broken = asyncio.create_task(cut.wait())
        upcoming: asyncio.Future[Any] | None = None
        try:
            while True:
                upcoming = asyncio.ensure_future(anext(messages, None))
                await asyncio.wait([upcoming, broken], return_when=asyncio.FIRST_COMPLETED)
                # Not whether that task has run already: a message that came before the cut would be confirmed after it.
                if cut.is_set():
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "cut by the test")
                if (message := upcoming.result()) is None:
                    return
                yield message
        finally:
            self._open[name].discard(cut)
            broken.cancel()
            if upcoming is not None:
                upcoming.cancel()


async def _drain(queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while True:
        yield await queue.get()


async def refuse(context: Any, reason: str) -> None:
    """Abort as the master does: an ErrorInfo tells the reason."""
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="kontena"))
    status = status_pb2.Status(code=7, message=reason, details=[detail])
    await context.abort(
        grpc.StatusCode.PERMISSION_DENIED, reason, (("grpc-status-details-bin", status.SerializeToString()),)
    )
