"""Reading what arrives in order, once or as it arrives: container logs and event logs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from services.deploy_svc.domain.log_query import LogQuery
from services.kernel.db import Database, Tx
from services.kernel.listen import Wakes

_FOLLOW_BATCH = 300
_KEEP_ALIVE_SECONDS = 0.5
# Notifications wake a follower; this is for those that were lost.
_POLL_SECONDS = 5.0
# A busy grid notifies more often than a follower needs to look.
_SHORTEST_PAUSE = 0.05


class Arrived(Protocol):
    """Something with an id that grows in the order of arrival."""

    @property
    def id(self) -> int:
        """The id."""


class Scope(Protocol):
    """Which items a caller may read."""

    @property
    def grid_id(self) -> str:
        """Whose arrivals wake the follower."""


T = TypeVar("T")
S = TypeVar("S", bound=Scope)
I = TypeVar("I", bound=Arrived)  # noqa: E741

Select = Callable[[Tx, S, LogQuery], Awaitable[Sequence[I]]]
NewestId = Callable[[Tx, S], Awaitable[int]]


class Reader(Generic[S, I]):
    """Reads with the store functions it is given: `select` the items of a scope, and the `newest_id` a scope can see,
    which may be that of an item outside of the scope."""

    def __init__(self, db: Database, wakes: Wakes, select: "Select[S, I]", newest_id: "NewestId[S]") -> None:
        self._db = db
        self._wakes = wakes
        self._select = select
        self._newest_id = newest_id

    async def read(self, scope: S, query: LogQuery) -> Sequence[I]:
        """The selected items, oldest first."""
        async with self._db.read() as tx:
            return await self._select(tx, scope, query)

    async def follow(self, scope: S, query: LogQuery) -> AsyncIterator[Sequence[I]]:
        """The selected items, then new ones as they arrive, for ever. An empty list means that there is nothing new: it
        comes first when nothing was selected, and whenever there was nothing for half a second, whatever the database
        and the rest of the grid do."""
        async for batch in kept_alive(self._batches(scope, query), _KEEP_ALIVE_SECONDS):
            yield batch

    async def _batches(self, scope: S, query: LogQuery) -> AsyncGenerator[Sequence[I]]:
        """What was selected, even if it is nothing, then what arrives."""
        with self._wakes.subscribe(scope.grid_id) as wake:
            last, items = await self._begin(scope, query)
            yield items
            while True:
                if items:
                    query = replace(query, since=None)
                if len(items) < _FOLLOW_BATCH:
                    await _until_woken(wake)
                wake.clear()
                last, items = await self._next(scope, query, last)
                if items:
                    yield items

    async def _begin(self, scope: S, query: LogQuery) -> tuple[int, Sequence[I]]:
        if query.after is not None:
            return await self._next(scope, query, query.after)
        async with self._db.read() as tx:
            # Read first: an item that arrives in between is selected below or comes after this id.
            newest = await self._newest_id(tx, scope)
            items = await self._select(tx, scope, query)
        return (items[-1].id if items else newest), items

    async def _next(self, scope: S, query: LogQuery, last: int) -> tuple[int, Sequence[I]]:
        wanted = replace(query, after=last, limit=_FOLLOW_BATCH)
        async with self._db.read() as tx:
            newest = await self._newest_id(tx, scope)
            items = await self._select(tx, scope, wanted) if newest > last else []
        if len(items) == _FOLLOW_BATCH or newest <= last:
            return (items[-1].id if items else last), items
        # Items that the filters left out are not looked at again.
        return max(newest, items[-1].id if items else 0), items


async def kept_alive(batches: AsyncGenerator[Sequence[T]], seconds: float) -> AsyncIterator[Sequence[T]]:
    """The batches in order, and an empty one whenever the next takes longer than `seconds` to come. Asks for the next
    only when the last one was taken. Closes `batches` at the end."""
    async with aclosing(batches):
        coming = asyncio.ensure_future(anext(batches))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=seconds)
                if not done:
                    yield []
                    continue
                yield coming.result()
                coming = asyncio.ensure_future(anext(batches))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _until_woken(wake: asyncio.Event) -> None:
    """Return when something may have arrived, or was not notified."""
    clock = asyncio.get_running_loop()
    looked = clock.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(_POLL_SECONDS):
            await wake.wait()
    await asyncio.sleep(max(0.0, looked + _SHORTEST_PAUSE - clock.time()))
