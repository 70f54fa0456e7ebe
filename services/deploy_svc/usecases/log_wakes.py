"""Wakes the followers of a grid's logs or events.

One subscription per process, and nothing that grows while a follower is slow.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from services.deploy_svc.store import tables
from services.kernel.listen import Listener


class LogWakes:
    """Turns notifications into events. `run` must be supervised for as long as it is used."""

    def __init__(self, listener: Listener, channel: str = tables.LOGS_ARRIVED) -> None:
        self._listener = listener
        self._channel = channel
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, grid_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when lines of the grid may have arrived."""
        event = asyncio.Event()
        self._events[grid_id].add(event)
        try:
            yield event
        finally:
            self._events[grid_id].discard(event)
            if not self._events[grid_id]:
                del self._events[grid_id]

    async def run(self) -> None:
        """Pass notifications on, for ever."""
        async with self._listener.subscribe(self._channel) as queue:
            self._wake(None)
            while True:
                self._wake(await queue.get())

    def _wake(self, grid_id: str | None) -> None:
        groups = list(self._events.values()) if grid_id is None else [self._events.get(grid_id, set())]
        for group in groups:
            for event in group:
                event.set()
