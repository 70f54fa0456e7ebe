"""The newest items of what several follow: read and encoded once for all of them."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from operator import attrgetter, itemgetter

from services.deploy_svc.domain.batch import NOTHING, Batch, Entry, batches

# The id up to which was looked, at most the newest one there is, and entries after an id; True when there was no room
# for all of them.
Read = Callable[[int], Awaitable[tuple[int, Sequence[Entry], bool]]]

# For followers that are a little slower than the others.
_KEPT_BYTES = 2**20
# Notifications wake it; this is for those that were lost.
_POLL_SECONDS = 5.0
# A busy grid notifies more often than anybody needs to look.
_SHORTEST_PAUSE = 0.05


class Tail:
    """What came after the id `begin`, as long as it fits. Reads when `wake` is set and somebody waits."""

    def __init__(self, begin: int, read: Read, wake: asyncio.Event) -> None:
        self._read = read
        self._wake = wake
        self._begin = self._last = begin
        self._kept: list[Batch] = []
        self._bytes = 0
        self._more = False
        self._looking: asyncio.Future[None] | None = None
        self._looked = 0.0

    async def look(self) -> None:
        """Look now. Whoever begins to follow calls it: something may have come before anybody listened, and the items
        of a database that was put back are not those that are kept."""
        self._wake.set()
        await self._look_together()

    async def after(self, position: int) -> tuple[int, Batch] | None:
        """What came next after an id, as soon as there is something, and up to where that is. Who asks for the same
        gets the same batch, unless it begins in the middle of one. None for an id so old that what came after it is not
        kept. Raises what reading raises."""
        if position > self._last:
            self._wake.set()
        while position >= self._last:
            await self._look_together()
        if position < self._begin:
            return None
        index = bisect_right(self._kept, position, key=attrgetter("last"))
        if index == len(self._kept):
            return self._last, NOTHING
        batch = self._kept[index]
        if batch.entries[0][0] <= position:
            batch = Batch(batch.entries[bisect_right(batch.entries, position, key=itemgetter(0)) :])
        return self._last if index == len(self._kept) - 1 else batch.last, batch

    async def close(self) -> None:
        """Nobody waits any more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_together(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        # One of those that wait may give up.
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        clock = asyncio.get_running_loop()
        if not self._more:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(max(0.0, self._looked + _SHORTEST_PAUSE - clock.time()))
        self._looked = clock.time()
        self._wake.clear()
        last, entries, self._more = await self._read(self._last)
        if last < self._last:
            self._kept, self._bytes, self._begin = [], 0, last
        if entries:
            # Before the new ones are there: all that wait are about to take those, whatever their size.
            self._forget()
        new = batches(entries)
        self._kept += new
        self._bytes += sum(batch.size for batch in new)
        self._last = last

    def _forget(self) -> None:
        surplus = 0
        while self._bytes > _KEPT_BYTES:
            self._begin = self._kept[surplus].last
            self._bytes -= self._kept[surplus].size
            surplus += 1
        del self._kept[:surplus]
