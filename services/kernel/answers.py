"""Room for large answers: how much of them a replica makes at the same time.

A list, or a stack, takes many times its size while it is read, decoded and put together. Nobody knows before how large
it becomes, but mostly it is as large as it was a moment ago.
"""

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from services.kernel.errors import RateLimited, Unavailable

DEFAULT_BYTES = 8 * 1024**2
# All run on one event loop: more of them at once would only take more memory.
_AT_ONCE = 8
_WAIT_SECONDS = 10.0
_WAITING_PER_CALLER, _WAITING = 64, 512
_KNOWN, _KNOWN_SECONDS = 10_000, 60.0

_Key = tuple[str, bytes]


@dataclass(slots=True)
class Answer:
    """One in the making: `size` is what it is taken for, and then what it was."""

    size: int


class Answers:
    """Grants room in the order of arrival: no answer waits for ever, however large."""

    def __init__(self, most_bytes: int = DEFAULT_BYTES) -> None:
        self._most = most_bytes
        self._free, self._slots = most_bytes, _AT_ONCE
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._callers: Counter[str] = Counter()
        self._known: OrderedDict[_Key, tuple[int, float]] = OrderedDict()

    @asynccontextmanager
    async def room(self, method: str, request: bytes, caller: str) -> AsyncIterator[Answer]:
        """Room to decode a request and make its answer, whose size the block sets. Raises RateLimited when too many
        requests of the caller wait, Unavailable when there is none for too long."""
        key = (method, hashlib.blake2b(request, digest_size=16).digest())
        # Of those that nobody made lately, two at a time.
        size = self._known_size(key)
        answer = Answer(min(max(self._most // 2 if size is None else size, len(request)), self._most))
        taken = answer.size
        await self._take(taken, caller)
        try:
            yield answer
            self._remember(key, answer.size)
        finally:
            self._give(taken)

    async def _take(self, size: int, caller: str) -> None:
        if not self._waiting and self._fits(size):
            self._grant(size)
            return
        if self._callers[caller] >= _WAITING_PER_CALLER:
            raise RateLimited(
                f"{_WAITING_PER_CALLER} of your requests for lists and stacks wait here already, which is the limit. "
                "Send fewer at the same time, or ask for parts of lists (limit).",
                retry_seconds=1,
            )
        if len(self._waiting) >= _WAITING:
            raise _busy()
        granted = asyncio.get_running_loop().create_future()
        entry = (size, granted)
        self._waiting.append(entry)
        self._callers[caller] += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await granted
        except TimeoutError:
            self._withdraw(entry)
            raise _busy() from None
        except asyncio.CancelledError:
            self._withdraw(entry)
            raise
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def _withdraw(self, entry: tuple[int, asyncio.Future[None]]) -> None:
        size, granted = entry
        if granted.done() and not granted.cancelled():
            self._give(size)
            return
        # Not there any more when its turn came while it was being cancelled.
        with suppress(ValueError):
            self._waiting.remove(entry)
        # Those behind it may be smaller.
        self._next()

    def _fits(self, size: int) -> bool:
        return self._slots > 0 and size <= self._free

    def _grant(self, size: int) -> None:
        self._free -= size
        self._slots -= 1

    def _give(self, size: int) -> None:
        self._free += size
        self._slots += 1
        self._next()

    def _next(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, granted = self._waiting.popleft()
            if not granted.done():
                self._grant(size)
                granted.set_result(None)

    def _known_size(self, key: _Key) -> int | None:
        size, until = self._known.get(key, (0, 0.0))
        return size if time.monotonic() < until else None

    def _remember(self, key: _Key, size: int) -> None:
        self._known[key] = (size, time.monotonic() + _KNOWN_SECONDS)
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def _busy() -> Unavailable:
    return Unavailable("This server makes as many large answers as it has memory for. Try again in a moment.")
