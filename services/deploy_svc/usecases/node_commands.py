"""Commands to nodes: each holds one stream to one replica, any of which reaches it (docs/adr/0021-exec-bridge.md)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import NoReturn, Protocol

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.node_command import (
    Answer,
    Event,
    Failed,
    FollowUp,
    Order,
    Request,
    Result,
)
from services.deploy_svc.store import command_routes as store
from services.deploy_svc.store.command_routes import Route
from services.deploy_svc.usecases.current_session import require_current, until_ended
from services.deploy_svc.usecases.node_stream import LOST, NodeStream
from services.kernel.db import Database
from services.kernel.errors import InvalidRequest, NotFound, NotHere, Unavailable
from services.kernel.ids import new_id
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)

_GONE = "The node of this container is not connected"
_STOPPING = "This server is about to stop. Connect again."
# How long a command waits for a node that is connected and changes from one replica to another.
_MOVING_SECONDS, _LOOK_AGAIN_SECONDS = 8.0, 0.1
# How long commands under way may go on when this replica stops. Meanwhile those that wait as above cannot begin.
_LEAVE_SECONDS = 1.5


class Command(Protocol):
    """A command under way."""

    async def send(self, item: FollowUp) -> None:
        """Pass input on to the program; waits while it has enough to read."""

    def answers(self) -> AsyncIterator[Answer]:
        """Output as it comes, then one Exit, Result or Failed. Raises Unavailable when the node is lost."""


class Relay(Protocol):
    """Reaches nodes that are attached to other replicas."""

    def open(self, address: str, node_id: str, request: Request) -> AbstractAsyncContextManager[Command]:
        """Run a command through the replica at `address`; leaving the block cancels it. The call in progress has begun
        then. Raises NotHere when nothing was begun there."""


class NodeCommands:
    """The streams of the nodes that are attached here, and the way to the others. `address` is our own."""

    def __init__(self, db: Database, nodes: NodeDirectory, address: str, relay: Relay) -> None:
        self._db = db
        self._nodes = nodes
        self._address = address
        self._relay = relay
        self._streams: dict[str, NodeStream] = {}
        self._leaving = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def attach(
        self, session: NodeSession, events: AsyncIterator[tuple[str, Event]]
    ) -> AsyncIterator[tuple[str, Order]]:
        """Orders for the node, until it ends its side or a newer stream takes over. Raises SessionEnded, and NotHere
        when this replica is about to stop."""
        if self._leaving:
            raise NotHere(_STOPPING)
        await require_current(self._nodes, session)
        stream = NodeStream(new_id(), session.node_id)
        async with self._db.transaction() as tx:
            await store.save(tx, session.node_id, session.number, Route(stream.id, self._address))
        self._streams[stream.id] = stream
        tasks = [
            asyncio.create_task(stream.receive(events)),
            asyncio.create_task(stream.replaced()),
            asyncio.create_task(until_ended(self._nodes, session)),
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
        """Run a command on a node, wherever it is attached; leaving the block cancels it. The call in progress has
        begun when the node may have got it. Raises Unavailable, and NotHere when this replica is about to stop."""
        with self._counted():
            async with AsyncExitStack() as stack:
                yield await self._begin(stack, node_id, request)

    async def _begin(self, stack: AsyncExitStack, node_id: str, request: Request) -> Command:
        clock = asyncio.get_running_loop()
        give_up = clock.time() + _MOVING_SECONDS
        while True:
            if self._leaving:
                raise NotHere(_STOPPING)
            try:
                return await stack.enter_async_context(await self._way(node_id, request))
            except NotHere as error:
                node = await self._nodes.by_id(node_id)
                if node is None or not node.connected or clock.time() > give_up:
                    raise Unavailable(error.message) from error
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _way(self, node_id: str, request: Request) -> AbstractAsyncContextManager[Command]:
        """How to run a command on a node now. Raises NotHere when there is none."""
        async with self._db.read() as tx:
            route = await store.find(tx, node_id)
        if route is None:
            raise NotHere(_GONE)
        if route.stream_id in self._streams:
            return self._streams[route.stream_id].open(request)
        if route.address == self._address:
            raise NotHere(LOST)
        return self._relay.open(route.address, node_id, request)

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
        """As `open`, for a node that is attached to this replica. Raises NotHere when it is not."""
        async with self._db.read() as tx:
            route = await store.find(tx, node_id)
        if self._leaving or route is None or route.stream_id not in self._streams:
            raise NotHere(_GONE)
        with self._counted():
            async with self._streams[route.stream_id].open(request) as command:
                yield command

    async def leave(self) -> None:
        """Before this replica stops: no command begins here any more, nodes are looked for elsewhere, and commands
        under way get a moment to end."""
        self._leaving = True
        try:
            async with self._db.transaction() as tx:
                await store.remove_all(tx, list(self._streams))
        except Exception as error:
            log.info("routes not removed, they will expire", error=repr(error)[:300])
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._idle.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def renew(self) -> None:
        """Keep the streams valid that are attached here, and end those of which another one has taken the place. Call
        it every RENEW_SECONDS."""
        streams = dict(self._streams)
        if self._leaving or not streams:
            return
        async with self._db.transaction() as tx:
            replaced = await store.renew(tx, {stream.id: stream.node_id for stream in streams.values()})
        for stream_id in replaced:
            streams[stream_id].replace()

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
