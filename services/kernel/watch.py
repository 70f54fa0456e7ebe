"""The server side of a watch (informer.py is the other side): snapshot, Synced, then every change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from prometheus_client import Counter

from services.kernel.db import Database, Tx
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.listen import Listener, drain
from services.kernel.logs import get_logger

log = get_logger(__name__)

GATHER_SECONDS = 0.02
# A follower takes messages of 16 MiB, and its stream would break for ever at a larger one. None comes near this.
_LARGEST_EVENT = 4 * 1024 * 1024

_LEFT_OUT = Counter("watch_records_left_out_total", "Records that were too large to be sent to followers.", ["message"])

E = TypeVar("E", bound=Message)


class Record(Protocol):
    """What followers are told. Two equal records need no event."""

    @property
    def id(self) -> str:
        """Unique, and never the id of something else."""


R = TypeVar("R", bound=Record)

# Reads the records with these ids, or all.
Read = Callable[[Tx, Collection[str] | None], Awaitable[Iterable[R]]]


async def messages(
    kind: Callable[..., E], changes: AsyncIterator[Change[R]], record: Callable[[R], Message]
) -> AsyncIterator[E]:
    """The changes as messages of this kind: one of `upserted`, `deleted` and `synced` each. Those that are too large to
    be sent are left out, logged and counted: one record must not keep all others from the followers."""
    async for change in changes:
        event = _message(kind, change, record)
        if (size := event.ByteSize()) <= _LARGEST_EVENT:
            yield event
        else:
            name = event.DESCRIPTOR.name
            _LEFT_OUT.labels(name).inc()
            log.error(
                "a record is too large for its followers", message=name, bytes=size, key=getattr(change, "key", "")
            )


def _message(kind: Callable[..., E], change: Change[R], record: Callable[[R], Message]) -> E:
    match change:
        case Upsert(_, item):
            return kind(upserted=record(item))
        case Delete(key):
            return kind(deleted=key)
        case Synced():
            return kind(synced={})


class Watch:
    """Streams of records that are kept in a database, for any number of followers.

    After lost notifications everything is sent again, then Synced. One reader per stream reads one after the other, so
    a record is never followed by an older one of itself.
    """

    def __init__(self, db: Database, listener: Listener, resync_seconds: float) -> None:
        self._db = db
        self._listener = listener
        self._resync = resync_seconds

    async def follow(
        self,
        channels: Collection[str],
        read: Read[R],
        id_of: Callable[[str], str] | None = str,
        gather: float = GATHER_SECONDS,
    ) -> AsyncIterator[Change[R]]:
        """All records, then their changes. `id_of` finds the id in a notification; None means that any of them may
        have changed. Notifications within `gather` seconds are one read."""
        sent: dict[str, R] = {}
        payloads: Collection[str | None] = {None}
        async with self._listener.subscribe(*channels) as wake:
            while True:
                changed = _ids(payloads, id_of)
                async with self._db.read() as tx:
                    found = {record.id: record for record in await read(tx, changed)}
                for change in differences(sent, found, changed, again=None in payloads):
                    yield change
                payloads = await self._next(wake, gather)

    async def _next(self, wake: asyncio.Queue[str | None], gather: float) -> Collection[str | None]:
        """What was notified, or nothing when it is time to compare everything."""
        try:
            async with asyncio.timeout(self._resync):
                first = await wake.get()
        except TimeoutError:
            return set()
        # Many that come or go at once are one read, not hundreds.
        await asyncio.sleep(gather)
        return drain(wake, first)


def _ids(payloads: Collection[str | None], id_of: Callable[[str], str] | None) -> set[str] | None:
    if id_of is None or not payloads or None in payloads:
        return None
    return {id_of(text) for text in payloads if text}


def differences(
    sent: dict[str, R], found: Mapping[str, R], asked: Collection[str] | None, *, again: bool
) -> list[Change[R]]:
    """What a follower that knows `sent` must hear when `asked` (None: everything) was read as `found`.

    Updates `sent`. With `again` everything that was found is repeated and Synced ends it.
    """
    gone = set(sent if asked is None else asked) - set(found)
    changes: list[Change[R]] = [Delete(key) for key in gone if sent.pop(key, None) is not None]
    for key, record in found.items():
        if again or sent.get(key) != record:
            sent[key] = record
            changes.append(Upsert(key, record))
    if again:
        changes.append(Synced())
    return changes
