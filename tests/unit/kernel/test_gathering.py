"""What waits on a stream is worked on together, and no more of it is read ahead than was said."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.kernel.gathering import gathered

_SIZE = StringValue(value="0").ByteSize()
PLENTY = 1000


class Stream:
    """Brings `texts` at once, then waits, or fails."""

    def __init__(self, texts: str, failure: Exception | None = None) -> None:
        self.read = 0
        self._texts = texts
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[StringValue]:
        for text in self._texts:
            self.read += 1
            yield StringValue(value=text)
        if self._failure is not None:
            raise self._failure


async def test_what_waits_comes_together_and_in_order() -> None:
    found = ["".join(one.value for one in batch) async for batch in gathered(aiter(Stream("abc")), PLENTY)]
    assert found == ["abc"]


async def test_no_more_than_the_limit_is_read_ahead() -> None:
    stream = Stream("abcdefg")
    batches = gathered(aiter(stream), 2 * _SIZE)
    found = []
    async for batch in batches:
        found.append("".join(one.value for one in batch))
        # The reader gets every chance to run ahead while this batch is worked on.
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.read <= sum(map(len, found)) + 2
    assert found == ["ab", "cd", "ef", "g"]


async def test_a_failure_comes_after_what_came_before_it() -> None:
    batches = gathered(aiter(Stream("ab", ValueError("broken"))), PLENTY)
    assert [one.value for one in await anext(batches)] == ["a", "b"]
    with pytest.raises(ValueError, match="broken"):
        await anext(batches)


async def test_who_stops_reading_leaves_nobody_who_reads() -> None:
    left = asyncio.Event()

    async def silent() -> AsyncIterator[StringValue]:
        yield StringValue(value="a")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    batches = gathered(silent(), PLENTY)
    await anext(batches)
    await batches.aclose()
    assert left.is_set()
