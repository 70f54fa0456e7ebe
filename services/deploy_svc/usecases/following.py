"""Reading what arrives in order, once or as it arrives: container logs and event logs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from services.deploy_svc.domain.batch import NOTHING, Batch, Entry, batches
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.part import Part
from services.deploy_svc.usecases.tail import Read, Tail
from services.kernel.db import Database, Tx
from services.kernel.listen import Wakes

_FOLLOW_BATCH = 300
_KEEP_ALIVE_SECONDS = 0.5


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

Select = Callable[[Tx, S, LogQuery], Awaitable[Part[I]]]
NewestId = Callable[[Tx, S], Awaitable[int]]
Encode = Callable[[I], bytes]


@dataclass(slots=True)
class _Shared:
    """A tail and what wakes it, for as long as anybody follows."""

    tail: Tail
    subscription: ExitStack
    followers: int = 0


class Reader(Generic[S, I]):
    """Reads with the store functions it is given: `select` the items of a scope, and the `newest_id` a scope can see,
    which may be that of an item outside of the scope."""

    def __init__(self, db: Database, wakes: Wakes, select: "Select[S, I]", newest_id: "NewestId[S]") -> None:
        self._db = db
        self._wakes = wakes
        self._select = select
        self._newest_id = newest_id
        self._tails: dict[tuple[S, LogQuery], _Shared] = {}

    async def read(self, scope: S, query: LogQuery) -> Part[I]:
        """The selected items, oldest first; `until` says where a search stopped that did not find enough."""
        async with self._db.read() as tx:
            return await self._select(tx, scope, query)

    async def follow(self, scope: S, query: LogQuery, encode: "Encode[I]") -> AsyncIterator[Batch]:
        """The selected items, then new ones as they arrive, for ever, each as clients get it: `encode` gives the same
        for an item whoever follows. A batch without items means that there is nothing new: it comes first when nothing
        was selected, and whenever there was nothing for half a second, whatever the database and the rest of the grid
        do. New items are read, encoded and put together once for all that follow the same."""
        async for batch in kept_alive(self._batches(scope, query, encode), _KEEP_ALIVE_SECONDS, NOTHING):
            yield batch

    async def _batches(self, scope: S, query: LogQuery, encode: "Encode[I]") -> AsyncGenerator[Batch]:
        """What was selected, even if it is nothing, then what arrives."""
        last, items = await self._begin(scope, query)
        if not items:
            yield NOTHING
        # Not all at once: encoding many lines would hold up other requests.
        for start in range(0, len(items), _FOLLOW_BATCH):
            for batch in batches([(item.id, encode(item)) for item in items[start : start + _FOLLOW_BATCH]]):
                yield batch
        wanted = replace(query, after=None, since=None if items else query.since, limit=_FOLLOW_BATCH)

        async def read(after: int) -> tuple[int, Sequence[Entry], bool]:
            reached, found = await self._next(scope, wanted, after)
            more = len(found) == _FOLLOW_BATCH or found.until is not None
            return reached, [(item.id, encode(item)) for item in found], more

        async with self._tail((scope, wanted), last, read) as tail:
            await tail.look()
            while True:
                found = await tail.after(last)
                if found is None:
                    # Who is too far behind reads for itself until the others are reached.
                    reached, entries, _ = await read(last)
                    behind = batches(entries)
                else:
                    reached, batch = found
                    behind = [batch] if batch.entries else []
                for batch in behind:
                    yield batch
                last = max(last, reached)

    @asynccontextmanager
    async def _tail(self, key: tuple[S, LogQuery], begin: int, read: Read) -> AsyncIterator[Tail]:
        """The tail of all that follow the same."""
        shared = self._tails.get(key)
        if shared is None:
            subscription = ExitStack()
            wake = subscription.enter_context(self._wakes.subscribe(key[0].grid_id))
            shared = self._tails[key] = _Shared(Tail(begin, read, wake), subscription)
        shared.followers += 1
        try:
            yield shared.tail
        finally:
            shared.followers -= 1
            if not shared.followers:
                del self._tails[key]
                shared.subscription.close()
                await shared.tail.close()

    async def _begin(self, scope: S, query: LogQuery) -> tuple[int, Sequence[I]]:
        if query.after is not None:
            reached, first = await self._next(scope, query, query.after)
            return max(reached, query.after), first
        async with self._db.read() as tx:
            # Read first: an item that arrives in between is selected below or comes after this id.
            newest = await self._newest_id(tx, scope)
            part = await self._select(tx, scope, query)
        items: Sequence[I] = part
        while part.until is not None:
            # Whoever follows waits for as long as the search takes, in steps that hold up nobody else.
            rest = replace(query, before=part.until, limit=query.limit - len(items))
            part = await self.read(scope, rest)
            items = [*part, *items]
        return max(newest, items[-1].id if items else 0), items

    async def _next(self, scope: S, query: LogQuery, last: int) -> tuple[int, Part[I]]:
        wanted = replace(query, after=last, limit=_FOLLOW_BATCH)
        async with self._db.read() as tx:
            newest = await self._newest_id(tx, scope)
            items: Part[I] = await self._select(tx, scope, wanted) if newest > last else Part()
        if items.until is not None:
            return items.until, items
        if len(items) == _FOLLOW_BATCH or newest <= last:
            return (items[-1].id if items else newest), items
        # Items that the filters left out are not looked at again.
        return max(newest, items[-1].id if items else 0), items


async def kept_alive(batches: AsyncGenerator[T], seconds: float, nothing: T) -> AsyncIterator[T]:
    """The batches in order, and `nothing` whenever the next takes longer than `seconds` to come. Asks for the next only
    when the last one was taken. Ends with `batches`, and closes them."""
    async with aclosing(batches):
        coming = asyncio.ensure_future(anext(batches))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=seconds)
                if not done:
                    yield nothing
                    continue
                try:
                    batch = coming.result()
                except StopAsyncIteration:
                    return
                yield batch
                coming = asyncio.ensure_future(anext(batches))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
