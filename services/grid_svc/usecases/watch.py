"""Lets other services follow grids and nodes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

from services.grid_svc.domain.watch import Deleted, Event, GridRecord, NodeRecord, Record, Synced, Upserted
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import watch as store
from services.grid_svc.store.channels import GRIDS, NODE_STATS, NODES, grid_of, node_of
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound
from services.kernel.listen import Listener, drain

_GATHER_SECONDS = 0.02

# Reads the records with these ids, or all.
_Read = Callable[[Tx, Collection[str] | None], Awaitable[list[Any]]]


class Watches:
    """Snapshot, Synced, then every change. After lost notifications everything is sent again, then Synced.

    One reader per stream reads one after the other, so a record is never followed by an older one of itself.
    """

    def __init__(self, db: Database, listener: Listener, resync_seconds: float) -> None:
        self._db = db
        self._listener = listener
        self._resync = resync_seconds

    async def grids(self) -> AsyncIterator[Event[GridRecord]]:
        """All grids, then their changes."""
        async with self._listener.subscribe(GRIDS) as wake:
            async for event in self._follow(wake, grid_of, store.grid_records):
                yield event

    async def nodes(self) -> AsyncIterator[Event[NodeRecord]]:
        """All nodes, then their changes; a sign of life alone is none."""
        async with self._listener.subscribe(NODES, NODE_STATS) as wake:
            async for event in self._follow(wake, node_of, store.node_records):
                yield event

    async def grid(self, name: str) -> GridRecord:
        """The grid called `name`. Raises NotFound."""
        async with self._db.read() as tx:
            grid = await grid_store.by_name(tx, name)
        if grid is None:
            raise NotFound
        return store.grid_record(grid)

    async def _follow(
        self, wake: asyncio.Queue[str | None], id_of: Callable[[str], str], read: _Read
    ) -> AsyncIterator[Event[Any]]:
        sent: dict[str, Any] = {}
        payloads: Collection[str | None] = {None}
        while True:
            changed = None if None in payloads or not payloads else {id_of(text) for text in payloads if text}
            async with self._db.read() as tx:
                found = {record.id: record for record in await read(tx, changed)}
            for event in differences(sent, found, changed, again=None in payloads):
                yield event
            payloads = await self._next(wake)

    async def _next(self, wake: asyncio.Queue[str | None]) -> Collection[str | None]:
        """What was notified, or nothing when it is time to compare everything."""
        try:
            async with asyncio.timeout(self._resync):
                first = await wake.get()
        except TimeoutError:
            return set()
        # Many nodes that come or go at once are one read, not hundreds.
        await asyncio.sleep(_GATHER_SECONDS)
        return drain(wake, first)


def differences(
    sent: dict[str, Record], found: Mapping[str, Record], asked: Collection[str] | None, *, again: bool
) -> list[Event[Record]]:
    """What a follower that knows `sent` must hear when `asked` (None: everything) was read as `found`.

    Updates `sent`. With `again` everything that was found is repeated and Synced ends it.
    """
    gone = set(sent if asked is None else asked) - set(found)
    events: list[Event[Record]] = [Deleted(key) for key in gone if sent.pop(key, None) is not None]
    for key, record in found.items():
        if again or sent.get(key) != record:
            sent[key] = record
            events.append(Upserted(record))
    if again:
        events.append(Synced())
    return events
