"""Writes down who has log lines in which segment of ids, so that those who read them leave out the others."""

from services.deploy_svc.domain.log_segment import SIZE_BITS
from services.deploy_svc.store import log_segments
from services.kernel import locks
from services.kernel.db import Database

PERIOD_SECONDS = 2.0


class LogSegments:
    """Any number of replicas may run it; each segment is a short transaction of its own. Lines of before there were
    segments are found like new ones."""

    def __init__(self, db: Database) -> None:
        self._db = db
        # Segments before that one are complete.
        self._complete = 0
        # An id, and the number of a transaction: when all of before it are over, no line up to the id can come.
        self._settling: tuple[int, int] | None = None

    async def turn(self) -> None:
        """Write down the segments that are complete."""
        async with self._db.read() as tx:
            newest = await log_segments.newest_line(tx)
        if newest >> SIZE_BITS < self._complete or (self._settling and newest < self._settling[0]):
            # The database was put back.
            self._complete, self._settling = 0, None
        if self._settling is None and newest >> SIZE_BITS > self._complete:
            async with self._db.transaction() as tx:
                # In this order: who draws another id later has a number by then, or takes a later one.
                self._settling = await log_segments.newest_line(tx), await log_segments.transaction(tx)
        if self._settling is not None:
            await self._settle(*self._settling)

    async def _settle(self, newest: int, transaction: int) -> None:
        async with self._db.read() as tx:
            if await log_segments.oldest_transaction(tx) < transaction:
                return
        end = newest >> SIZE_BITS
        while await self._next(end):
            pass
        self._complete, self._settling = end, None

    async def _next(self, end: int) -> bool:
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.LOG_SEGMENTS)
            segment = await log_segments.next_segment(tx)
            # Ids may begin anew at any time, where a database is put back.
            if segment is None or segment >= end or await log_segments.newest_line(tx) >> SIZE_BITS < end:
                return False
            await log_segments.add(tx, segment)
            return True
