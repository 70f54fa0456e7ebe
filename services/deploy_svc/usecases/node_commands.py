"""Commands to nodes: each node holds one stream to one replica, and any replica reaches it (docs/adr)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NoReturn, Protocol

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.node_command import (
    Answer,
    Cancel,
    Event,
    Failed,
    FollowUp,
    Input,
    InputRead,
    Order,
    Output,
    Read,
    Request,
    Result,
)
from services.deploy_svc.store import command_routes as store
from services.deploy_svc.store.command_routes import RENEW_SECONDS, Route
from services.deploy_svc.usecases.assignments import SessionEnded
from services.deploy_svc.usecases.container_reports import require_newest
from services.kernel.db import Database, translate_database_error
from services.kernel.errors import InvalidRequest, NotFound, Unavailable
from services.kernel.ids import new_id
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)

# Orders that wait for a node that does not read them hold up whoever gives more.
_WAITING_ORDERS = 64
# The flow control of the node keeps its output far below this.
_WAITING_ANSWERS = 10_000
# Input that the node has not confirmed; whoever gives more waits.
_INPUT_WINDOW = 256 * 1024
_GONE = "The node of this container is not connected"
_LOST = "The connection to the node of this container broke"


class Command(Protocol):
    """A command under way."""

    async def send(self, item: FollowUp) -> None:
        """Pass input on to the program; waits while it has enough to read."""

    def answers(self) -> AsyncIterator[Answer]:
        """Output as it comes, then one Exit, Result or Failed. Raises Unavailable when the node is lost."""


class Relay(Protocol):
    """Reaches nodes that are attached to other replicas."""

    def open(self, address: str, node_id: str, request: Request) -> AbstractAsyncContextManager[Command]:
        """Run a command through the replica at `address`; leaving the block cancels it."""


class NodeCommands:
    """The streams of the nodes that are attached here, and the way to the others. `address` is our own."""

    def __init__(self, db: Database, nodes: NodeDirectory, address: str, relay: Relay) -> None:
        self._db = db
        self._nodes = nodes
        self._address = address
        self._relay = relay
        self._streams: dict[str, _Stream] = {}

    async def attach(
        self, session: NodeSession, events: AsyncIterator[tuple[str, Event]]
    ) -> AsyncIterator[tuple[str, Order]]:
        """Orders for the node, until it ends its side or a newer stream takes over. Raises SessionEnded."""
        await require_newest(self._nodes, session)
        stream = _Stream(new_id())
        async with self._db.transaction() as tx:
            await store.save(tx, session.node_id, session.number, Route(stream.id, self._address))
        self._streams[stream.id] = stream
        tasks = [
            asyncio.create_task(stream.receive(events)),
            asyncio.create_task(self._renew(session.node_id, stream.id)),
        ]
        try:
            async for item in stream.orders_until(tasks):
                yield item
        finally:
            del self._streams[stream.id]
            stream.lose()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._forget(session.node_id, stream.id)

    @asynccontextmanager
    async def open(self, node_id: str, request: Request) -> AsyncIterator[Command]:
        """Run a command on a node, wherever it is attached; leaving the block cancels it. Raises Unavailable."""
        async with self._db.read() as tx:
            route = await store.find(tx, node_id)
        if route is None:
            raise Unavailable(_GONE)
        if route.stream_id in self._streams:
            async with self._streams[route.stream_id].open(request) as command:
                yield command
        elif route.address == self._address:
            raise Unavailable(_LOST)
        else:
            async with self._relay.open(route.address, node_id, request) as relayed:
                yield relayed

    async def ask(self, node_id: str, request: Request, seconds: float) -> str:
        """The JSON that a node answers. Raises NotFound, InvalidRequest when it refuses, Unavailable."""
        try:
            async with asyncio.timeout(seconds), self.open(node_id, request) as command:
                async for answer in command.answers():
                    if isinstance(answer, Result):
                        return answer.json
                    refuse(answer)
        except TimeoutError:
            raise Unavailable(f"The node did not answer within {seconds:.0f} s") from None
        raise Unavailable("The node ended the command without a result")

    @asynccontextmanager
    async def open_here(self, node_id: str, request: Request) -> AsyncIterator[Command]:
        """As `open`, for a node that is attached to this replica. Raises Unavailable when it is not."""
        async with self._db.read() as tx:
            route = await store.find(tx, node_id)
        if route is None or route.stream_id not in self._streams:
            raise Unavailable(_GONE)
        async with self._streams[route.stream_id].open(request) as command:
            yield command

    async def _renew(self, node_id: str, stream_id: str) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with self._db.transaction() as tx:
                    renewed = await store.renew(tx, node_id, stream_id)
            except Exception as error:
                if translate_database_error(error) is None:
                    raise
                continue
            if not renewed:
                raise SessionEnded("Another stream of this node has taken over")

    async def _forget(self, node_id: str, stream_id: str) -> None:
        try:
            async with self._db.transaction() as tx:
                await store.remove(tx, node_id, stream_id)
        except Exception as error:
            log.info("route not removed, it will expire", node_id=node_id, error=repr(error)[:300])


def refuse(answer: Answer) -> NoReturn:
    """Raise what an answer means that is not the expected one."""
    if isinstance(answer, Failed):
        if answer.kind == "not_found":
            raise NotFound
        if answer.kind == "refused":
            raise InvalidRequest(answer.message)
    raise Unavailable(answer.message if isinstance(answer, Failed) else "The node answered something else")


class _Stream:
    """One attached node."""

    def __init__(self, stream_id: str) -> None:
        self.id = stream_id
        self._orders: asyncio.Queue[tuple[str, Order]] = asyncio.Queue(_WAITING_ORDERS)
        self._open: dict[str, _LocalCommand] = {}

    async def receive(self, events: AsyncIterator[tuple[str, Event]]) -> None:
        """Hand events to their commands. Returns when the node ends its side."""
        async for command_id, event in events:
            command = self._open.get(command_id)
            if command is not None:
                command.receive(event)

    async def orders_until(self, tasks: list[asyncio.Task[None]]) -> AsyncIterator[tuple[str, Order]]:
        """Orders until one of the tasks ends, whose error is raised."""
        while True:
            upcoming = asyncio.ensure_future(self._orders.get())
            try:
                await asyncio.wait([upcoming, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
                        return
                item = upcoming.result()
            finally:
                upcoming.cancel()
            yield item

    def lose(self) -> None:
        """The node is gone: every command under way ends."""
        for command in self._open.values():
            command.receive(None)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Command]:
        command_id = new_id()
        command = self._open[command_id] = _LocalCommand(command_id, self._orders)
        try:
            await self._orders.put((command_id, request))
            yield command
        finally:
            del self._open[command_id]
            if not command.ended and not self._orders.full():
                self._orders.put_nowait((command_id, Cancel()))


class _LocalCommand:
    """A command on a node that is attached here."""

    def __init__(self, command_id: str, orders: asyncio.Queue[tuple[str, Order]]) -> None:
        self._id = command_id
        self._orders = orders
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue(_WAITING_ANSWERS)
        self._unread = 0
        self._room = asyncio.Event()
        self.ended = False

    def receive(self, event: Event | None) -> None:
        """What the node says; None when it is lost."""
        if isinstance(event, InputRead):
            self._unread -= event.size
            self._room.set()
        else:
            self._answers.put_nowait(event)

    async def send(self, item: FollowUp) -> None:
        if isinstance(item, Input):
            while self._unread >= _INPUT_WINDOW:
                self._room.clear()
                await self._room.wait()
            self._unread += item.weight
        await self._orders.put((self._id, item))

    async def answers(self) -> AsyncIterator[Answer]:
        while not self.ended:
            answer = await self._answers.get()
            if answer is None:
                self.ended = True
                raise Unavailable(_LOST)
            self.ended = not isinstance(answer, Output)
            if isinstance(answer, Failed) and answer.kind == "unavailable":
                raise Unavailable(answer.message)
            yield answer
            if isinstance(answer, Output):
                await self._orders.put((self._id, Read(len(answer.data))))
