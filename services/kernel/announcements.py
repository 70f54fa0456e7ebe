"""Notifications that a process sends together: each transaction that sends one wakes everybody who listens to the
database, whatever for (docs/adr/0131-new-services-are-told-together.md)."""

import asyncio

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.db import Database
from services.kernel.listen import drain
from services.kernel.statements import Statement


class Announcements:
    """Of one channel, whose payloads are keys that there is news of."""

    def __init__(self, channel: str, gather_seconds: float) -> None:
        keys = sa.func.unnest(sa.bindparam("keys", type_=ARRAY(sa.Text)))
        self._notify = Statement(sa.select(sa.func.pg_notify(channel, keys)))
        self._gather = gather_seconds
        self._queues: set[asyncio.Queue[str | None]] = set()

    def note(self, key: str) -> None:
        """There is news, committed, of a key. What is noted in a process that dies, or whose database is away, before
        it tells is told never, so whoever hears of it must look now and then besides."""
        for queue in self._queues:
            queue.put_nowait(key)

    async def run(self, db: Database) -> None:
        """Tell what is noted in this process, until cancelled."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                first = await queue.get()
                await asyncio.sleep(self._gather)
                await db.fetch(self._notify, keys=sorted(filter(None, drain(queue, first))))
        finally:
            self._queues.discard(queue)
