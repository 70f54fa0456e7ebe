"""Reads what a call brings: nothing before its caller is known, never more than its method takes.

gRPC would decode the first message of a call before any of our code runs. So every method is served as one that takes
a stream of bytes: nothing of it is read, let alone decoded, until `one` or `stream` asks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.message import DecodeError

from services.kernel.elements import MOST_ELEMENTS, count
from services.kernel.errors import InvalidRequest, RequestTooLarge
from services.kernel.methods import DEFAULT_LIMIT, Method

# A caller that opened a call says at once what it wants.
_FIRST_SECONDS = 30.0


class Requests:
    """The messages of one method. `parse` decodes one; `method` is None for what is not of our protos."""

    def __init__(self, method: Method | None, parse: Callable[[bytes], Any]) -> None:
        self._parse = parse
        self._limit = DEFAULT_LIMIT if method is None else method.request_limit
        # Who calls an open method shows its credential in the first message or beside it.
        self._first_limit = DEFAULT_LIMIT if method is not None and method.open else self._limit
        self._message = None if method is None else method.message

    async def one(self, raw: AsyncIterator[bytes]) -> Any:
        """The only message of a call. Raises InvalidRequest, RequestTooLarge, TimeoutError when none comes."""
        return self.decode(await self.first(raw), first=True)

    async def first(self, raw: AsyncIterator[bytes]) -> bytes:
        """The same, as it came. Raises InvalidRequest, TimeoutError."""
        async with asyncio.timeout(_FIRST_SECONDS):
            found = await anext(raw, None)
        if found is None:
            raise InvalidRequest("The request has no message")
        return found

    def stream(self, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The messages of a call as they come. Raises as `one` does, and then brings no more."""
        return _Decoded(raw, self.decode)

    def decode(self, raw: bytes, *, first: bool) -> Any:
        """The message. Raises InvalidRequest, RequestTooLarge."""
        limit = self._first_limit if first else self._limit
        if len(raw) > limit:
            raise RequestTooLarge(f"The request is larger than the {limit >> 10} KiB this call takes")
        # An element takes two bytes at least.
        if self._message is not None and len(raw) > 2 * MOST_ELEMENTS:
            count(self._message, raw)
        try:
            return self._parse(raw)
        except DecodeError:
            raise InvalidRequest("Invalid request") from None


class _Decoded:
    """Not a generator: one whose wait is cancelled would be at its end."""

    def __init__(self, raw: AsyncIterator[bytes], decode: Callable[..., Any]) -> None:
        self._raw = raw
        self._decode = decode
        self._first = True

    def __aiter__(self) -> "_Decoded":
        return self

    async def __anext__(self) -> Any:
        raw, first = await anext(self._raw), self._first
        self._first = False
        return self._decode(raw, first=first)
