"""One attached node: orders on their way to it, and the commands that wait for its answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn

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
)
from services.deploy_svc.usecases.current_session import SessionEnded
from services.kernel import call
from services.kernel.errors import Unavailable
from services.kernel.ids import new_id

# Orders that wait for a node that does not read them hold up whoever gives more.
_WAITING_ORDERS = 64
# Bytes of answers that nobody took yet, small messages counting as more than they say. The flow control of an agent
# keeps its output far below this; a node that gives more has its command ended.
_MOST_WAITING = 4 * 1024 * 1024
# Input that the node has not confirmed; whoever gives more waits. It goes there in pieces of this size.
_INPUT_WINDOW = 256 * 1024
_PIECE = 32 * 1024

_FLOODED = Failed("refused", "the node sent more output than it was asked for")
LOST = "The connection to the node of this container broke"


class _Orders:
    """Orders on their way to a node. Whoever gives more than it takes waits; cancelling never has to."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[str, Order]] = asyncio.Queue()
        self._room = asyncio.Semaphore(_WAITING_ORDERS)

    async def put(self, command_id: str, order: Order) -> None:
        await self._room.acquire()
        self._queue.put_nowait((command_id, order))

    def cancel(self, command_id: str) -> None:
        self._queue.put_nowait((command_id, Cancel()))

    async def get(self) -> tuple[str, Order]:
        item = await self._queue.get()
        if not isinstance(item[1], Cancel):
            self._room.release()
        return item


class LocalCommand:
    """A command on a node that is attached here."""

    def __init__(self, command_id: str, orders: _Orders) -> None:
        self._id = command_id
        self._orders = orders
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        # Bytes that wait in the queue, and whether it holds the last answer.
        self._waiting = 0
        self._complete = False
        self._unread = 0
        self._room = asyncio.Event()
        self.ended = False

    def receive(self, event: Event | None) -> None:
        """What the node says; None when it is lost. What comes after the last answer is for nobody."""
        if isinstance(event, InputRead):
            # A node cannot give itself more room than there is.
            self._unread = max(0, self._unread - max(0, event.size))
            self._room.set()
        elif not self._complete:
            if isinstance(event, Output) and self._waiting + event.weight > _MOST_WAITING:
                self._orders.cancel(self._id)
                event = _FLOODED
            self._waiting += event.weight if isinstance(event, Output) else 0
            self._complete = not isinstance(event, Output)
            self._answers.put_nowait(event)

    async def send(self, item: FollowUp) -> None:
        for piece in _pieces(item):
            if isinstance(piece, Input):
                while self._unread >= _INPUT_WINDOW:
                    self._room.clear()
                    await self._room.wait()
                self._unread += piece.weight
            await self._orders.put(self._id, piece)

    async def answers(self) -> AsyncIterator[Answer]:
        while not self.ended:
            answer = await self._answers.get()
            if answer is None:
                self.ended = True
                raise Unavailable(LOST)
            self.ended = not isinstance(answer, Output)
            self._waiting -= answer.weight if isinstance(answer, Output) else 0
            if isinstance(answer, Failed) and answer.kind == "unavailable":
                raise Unavailable(answer.message)
            yield answer
            if isinstance(answer, Output):
                await self._orders.put(self._id, Read(len(answer.data)))


def _pieces(item: FollowUp) -> Iterator[FollowUp]:
    if not isinstance(item, Input) or len(item.data) <= _PIECE:
        yield item
        return
    starts = range(0, len(item.data), _PIECE)
    for start in starts:
        yield Input(item.data[start : start + _PIECE], end=item.end and start == starts[-1])


class NodeStream:
    """One attached node."""

    def __init__(self, stream_id: str, node_id: str) -> None:
        self.id = stream_id
        self.node_id = node_id
        self._replaced = asyncio.Event()
        self._orders = _Orders()
        self._open: dict[str, LocalCommand] = {}

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

    def replace(self) -> None:
        """Another stream of the node has taken the place of this one."""
        self._replaced.set()

    async def replaced(self) -> NoReturn:
        """Raises SessionEnded when that has happened."""
        await self._replaced.wait()
        raise SessionEnded("Another stream of this node has taken over")

    def lose(self) -> None:
        """The node is gone: every command under way ends."""
        for command in self._open.values():
            command.receive(None)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[LocalCommand]:
        """Run a command on the node; leaving the block cancels it. The call in progress has begun from here on."""
        command_id = new_id()
        command = self._open[command_id] = LocalCommand(command_id, self._orders)
        call.current().begun = True
        try:
            await self._orders.put(command_id, request)
            yield command
        finally:
            del self._open[command_id]
            if not command.ended:
                self._orders.cancel(command_id)
