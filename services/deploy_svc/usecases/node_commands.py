"""Commands to nodes: each holds one stream to one replica, any of which reaches it (docs/adr/0021-exec-bridge.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
from services.deploy_svc.store.command_routes import RENEW_SECONDS, Route
from services.deploy_svc.usecases.current_session import SessionEnded, require_current, until_ended
from services.deploy_svc.usecases.node_stream import LOST, NodeStream
from services.kernel.database_errors import translate_database_error
from services.kernel.db import Database
from services.kernel.errors import InvalidRequest, NotFound, Unavailable
from services.kernel.ids import new_id
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)

_GONE = "The node of this container is not connected"


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
        self._streams: dict[str, NodeStream] = {}

    async def attach(
        self, session: NodeSession, events: AsyncIterator[tuple[str, Event]]
    ) -> AsyncIterator[tuple[str, Order]]:
        """Orders for the node, until it ends its side or a newer stream takes over. Raises SessionEnded."""
        await require_current(self._nodes, session)
        stream = NodeStream(new_id())
        async with self._db.transaction() as tx:
            await store.save(tx, session.node_id, session.number, Route(stream.id, self._address))
        self._streams[stream.id] = stream
        tasks = [
            asyncio.create_task(stream.receive(events)),
            asyncio.create_task(self._renew(session.node_id, stream.id)),
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
        """Run a command on a node, wherever it is attached; leaving the block cancels it. Raises Unavailable."""
        async with self._db.read() as tx:
            route = await store.find(tx, node_id)
        if route is None:
            raise Unavailable(_GONE)
        if route.stream_id in self._streams:
            async with self._streams[route.stream_id].open(request) as command:
                yield command
        elif route.address == self._address:
            raise Unavailable(LOST)
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
