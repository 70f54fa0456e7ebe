"""Reading what arrives in order, once or as it arrives: container logs and event logs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.usecases.log_wakes import LogWakes
from services.kernel.db import Database, Tx

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


S = TypeVar("S", bound=Scope)
I = TypeVar("I", bound=Arrived)  # noqa: E741

Select = Callable[[Tx, S, LogQuery], Awaitable[Sequence[I]]]
NewestId = Callable[[Tx, S], Awaitable[int]]


class Reader(Generic[S, I]):
    """Reads with the store functions it is given: `select` the items of a scope, and the `newest_id` a scope can see,
    which may be that of an item outside of the scope."""

    def __init__(self, db: Database, wakes: LogWakes, select: "Select[S, I]", newest_id: "NewestId[S]") -> None:
        self._db = db
        self._wakes = wakes
        self._select = select
        self._newest_id = newest_id

    async def read(self, scope: S, query: LogQuery) -> Sequence[I]:
        """The selected items, oldest first."""
        async with self._db.read() as tx:
            return await self._select(tx, scope, query)

    async def follow(self, scope: S, query: LogQuery) -> AsyncIterator[Sequence[I]]:
        """The selected items, then new ones as they arrive, for ever. An empty list means that nothing happened."""
        with self._wakes.subscribe(scope.grid_id) as wake:
            last, items = await self._begin(scope, query)
            clock = asyncio.get_running_loop()
            while True:
                if items:
                    yield items
                    query = replace(query, since=None)
                if len(items) < _FOLLOW_BATCH:
                    looked = clock.time()
                    while not await _woken(wake, _KEEP_ALIVE_SECONDS) and clock.time() < looked + _POLL_SECONDS:
                        yield []
                    await asyncio.sleep(max(0.0, looked + _SHORTEST_PAUSE - clock.time()))
                wake.clear()
                last, items = await self._next(scope, query, last)

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


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True
