"""The stream that keeps assignments and statuses in step with the master."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import grpc

from agent.domain.assignment import problem_of
from agent.hook_journal import HookJournal
from agent.streams.calls import StreamEnded, until_first, write
from agent.streams.membership import Joined, Membership
from agent.streams.reporter import Reporter
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1 import assignment_pb2_grpc
from services.kernel.node_features import FILES

_SNAPSHOT_SECONDS = 30.0
_ACK_SECONDS = 30.0


class Assignee(Protocol):
    """Who acts on assignments."""

    def replace(self, assignments: Sequence[pb.Assignment]) -> None:
        """These and no others."""

    def patch(self, upserted: Sequence[pb.Assignment], removed: Sequence[str]) -> None:
        """These changed, those are gone."""


class MalformedAssignment(ConnectionError):
    """The master sent something that cannot be meant; nothing of the message is applied."""


class Assignments:
    """Keeps the stream open. While it is down, what was assigned last stays in force."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        membership: Membership,
        assignee: Assignee,
        reporter: Reporter,
        hooks: HookJournal,
    ) -> None:
        self._stub = assignment_pb2_grpc.AssignmentServiceStub(channel)
        self._membership = membership
        self._assignee = assignee
        self._reporter = reporter
        self._hooks = hooks

    async def run(self) -> None:
        """Never returns: whatever happens, it attaches again."""
        await keep_trying("assignments", self._membership, self._attach, urgent=True)

    async def _attach(self, joined: Joined) -> None:
        """Returns when a newer session begins; raises when the stream breaks."""
        call: Any = self._stub.Attach(metadata=(*joined.metadata, (FILES, "1")))
        # A stream takes one message at a time.
        lock = asyncio.Lock()
        try:
            await until_first(
                self._receive(call),
                self._send(call, lock),
                self._send_hooks(call, lock),
                self._membership.superseded(joined.epoch),
            )
        finally:
            call.cancel()

    async def _receive(self, call: Any) -> None:
        async with asyncio.timeout(_SNAPSHOT_SECONDS) as limit:
            begun = False
            while True:
                message = await call.read()
                if message is grpc.aio.EOF:
                    raise StreamEnded("the master ended the assignment stream")
                kind = message.WhichOneof("message")
                if begun := begun or kind == "snapshot":
                    limit.reschedule(None)
                elif kind == "delta":
                    raise MalformedAssignment("a delta came before the snapshot")
                # Answers say nothing of assignments: masters of other releases may send one first.
                self._handle(kind, message)

    def _handle(self, kind: str | None, message: pb.AttachResponse) -> None:
        match kind:
            case "snapshot":
                self._assignee.replace([checked(item) for item in message.snapshot.assignments])
            case "delta":
                upserted = [checked(item) for item in message.delta.upserted]
                self._assignee.patch(upserted, list(message.delta.removed))
            case "ack":
                self._reporter.acknowledge(message.ack.sequence)
            case "hook_started":
                self._hooks.answer(message.hook_started)

    async def _send(self, call: Any, lock: asyncio.Lock) -> None:
        self._reporter.start_over()
        while True:
            report = await self._reporter.next()
            try:
                async with asyncio.timeout(_ACK_SECONDS):
                    async with lock:
                        await write(call, pb.AttachRequest(report=report))
                    await self._reporter.delivered()
            except TimeoutError:
                raise StreamEnded(f"a report was not confirmed within {_ACK_SECONDS:.0f} s") from None

    async def _send_hooks(self, call: Any, lock: asyncio.Lock) -> None:
        self._hooks.start_over()
        while True:
            question = await self._hooks.next()
            async with lock:
                await write(call, pb.AttachRequest(hook_started=question))


def checked(assignment: pb.Assignment) -> pb.Assignment:
    """The assignment itself. Raises MalformedAssignment when it names no instance or no known state."""
    if problem := problem_of(assignment):
        raise MalformedAssignment(problem)
    return assignment
