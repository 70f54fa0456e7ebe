"""LISTEN/NOTIFY: one connection per process wakes whoever waits for a channel.

A notification is a hint, never the data: after a reconnect some are lost, so subscribers are woken with payload None
and look at the database.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from services.kernel.logs import get_logger
from services.kernel.postgres import Servers

log = get_logger(__name__)


class Listener:
    """Fans notifications out to in-process queues."""

    def __init__(self, url: str, channels: Iterable[str]) -> None:
        self._servers = Servers(url)
        self._channels = tuple(channels)
        self._subscribers: dict[str, set[asyncio.Queue[str | None]]] = defaultdict(set)

    @asynccontextmanager
    async def subscribe(self, *channels: str) -> AsyncIterator[asyncio.Queue[str | None]]:
        """A queue of payloads of the channels; None means that notifications may have been lost."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        for channel in channels:
            self._subscribers[channel].add(queue)
        try:
            yield queue
        finally:
            for channel in channels:
                self._subscribers[channel].discard(queue)

    async def run(self) -> None:
        """Listen until the connection breaks, which raises; the supervisor calls it again."""
        connection = await self._servers.connect()
        try:
            closed = asyncio.Event()
            connection.add_termination_listener(lambda _connection: closed.set())
            for channel in self._channels:
                await connection.add_listener(channel, self._dispatch)
            self._wake_all()
            await closed.wait()
            raise ConnectionError("the listening connection to Postgres was closed")
        finally:
            await connection.close(timeout=2)

    def _dispatch(self, _connection: Any, _pid: int, channel: str, payload: Any) -> None:
        for queue in self._subscribers[channel]:
            queue.put_nowait(str(payload))

    def _wake_all(self) -> None:
        for queues in self._subscribers.values():
            for queue in queues:
                queue.put_nowait(None)


class LocalWakes:
    """Wakes whoever waits in this process for news of a key. Nothing grows while they are slow."""

    def __init__(self) -> None:
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, key: str, event: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """An event, the given one for whoever waits for several keys, that is set whenever something about the key may
        have changed."""
        event = event or asyncio.Event()
        self._events[key].add(event)
        try:
            yield event
        finally:
            self._events[key].discard(event)
            if not self._events[key]:
                del self._events[key]

    def wake(self, key: str | None) -> None:
        """Something about the key changed, or about any if it is None."""
        for events in list(self._events.values()) if key is None else [self._events.get(key, set())]:
            for event in events:
                event.set()


class Wakes(LocalWakes):
    """The same of news from Postgres: the key is the payload of a channel. One subscription per process, however many
    wait. `run` must be supervised for as long as it is used."""

    def __init__(self, listener: Listener, channel: str) -> None:
        super().__init__()
        self._listener = listener
        self._channel = channel

    async def run(self) -> None:
        """Pass notifications on until cancelled."""
        async with self._listener.subscribe(self._channel) as queue:
            self.wake(None)
            while True:
                for key in drain(queue, await queue.get()):
                    self.wake(key)


def drain(queue: asyncio.Queue[str | None], first: str | None) -> set[str | None]:
    """`first` and everything else that waits in the queue, so that a burst is handled once."""
    payloads = {first}
    while not queue.empty():
        payloads.add(queue.get_nowait())
    return payloads
