"""A local copy of what another service owns, kept right by a watch stream: snapshot first, then changes."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import grpc

from services.kernel.errors import Unavailable
from services.kernel.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_FIRST_SYNC_SECONDS = 5.0
# A watch that fails for so long although somebody answers does not heal by waiting.
_BROKEN_SECONDS = 10.0
# Nobody answers, for now: readers go on with what is known.
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Upsert(Generic[T]):
    """The item exists with this value."""

    key: str
    item: T


@dataclass(frozen=True, slots=True)
class Delete:
    """The item is gone."""

    key: str


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything that existed was sent; what was not sent is gone."""


Change = Upsert[T] | Delete | Synced


async def changes(events: AsyncIterable[Any], read: Callable[[Any], tuple[str, T]]) -> AsyncIterator[Change[T]]:
    """What the messages of a watch tell (watch.py makes them); `read` makes key and item of a record."""
    async for event in events:
        match event.WhichOneof("event"):
            case "upserted":
                yield Upsert(*read(event.upserted))
            case "deleted":
                yield Delete(event.deleted)
            case "synced":
                yield Synced()


class Informer(Generic[T]):
    """Follows a watch. Readers get the last known items at once; before the first snapshot they wait for it."""

    def __init__(self, name: str, watch: Callable[[], AsyncIterator[Change[T]]]) -> None:
        self._name = name
        self._watch = watch
        self._items: dict[str, T] = {}
        self._synced = asyncio.Event()
        self._callbacks: list[Callable[[Change[T]], None]] = []
        self._failing_since: float | None = None
        self._live = False

    @property
    def live(self) -> bool:
        """Whether what is known is up to date but for what is on its way: the watch runs and has told everything."""
        return self._live

    def on_change(self, callback: Callable[[Change[T]], None]) -> None:
        """Call `callback` after each change, in order. It must not block or raise."""
        self._callbacks.append(callback)

    async def items(self) -> Mapping[str, T]:
        """All items by key. Raises Unavailable when no snapshot arrives in time."""
        if not self._synced.is_set():
            try:
                async with asyncio.timeout(_FIRST_SYNC_SECONDS):
                    await self._synced.wait()
            except TimeoutError:
                raise Unavailable(f"The list of {self._name} is not known yet. Try again in a moment.") from None
        return MappingProxyType(self._items)

    def known(self) -> Mapping[str, T] | None:
        """All items by key as they were told last, without waiting; None before the first snapshot."""
        return MappingProxyType(self._items) if self._synced.is_set() else None

    def broken(self) -> str | None:
        """Why what is known gets older and older, None while the watch works or its server is away."""
        if self._failing_since is None or time.monotonic() - self._failing_since < _BROKEN_SECONDS:
            return None
        return f"the watch of {self._name} fails"

    async def run(self) -> None:
        """Follow the watch until it ends or breaks, which raises; the supervisor calls it again."""
        try:
            await self._follow()
        except Exception as error:
            away = isinstance(error, ConnectionError) or (
                isinstance(error, grpc.aio.AioRpcError) and error.code() in _AWAY
            )
            if not away and self._failing_since is None:
                self._failing_since = time.monotonic()
            raise
        finally:
            self._live = False

    async def _follow(self) -> None:
        unseen = set(self._items)
        async for change in self._watch():
            match change:
                case Upsert(key, item):
                    self._items[key] = item
                    unseen.discard(key)
                case Delete(key):
                    self._items.pop(key, None)
                    unseen.discard(key)
                case Synced():
                    for key in unseen:
                        self._items.pop(key, None)
                        self._tell(Delete(key))
                    unseen.clear()
                    self._synced.set()
                    self._failing_since = None
                    self._live = True
            self._tell(change)
        raise ConnectionError(f"the watch of {self._name} ended")

    def _tell(self, change: Change[T]) -> None:
        for callback in self._callbacks:
            callback(change)
