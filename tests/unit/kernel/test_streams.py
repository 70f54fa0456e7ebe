"""Streams that a stopping process ends say whether they may be repeated elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from itertools import count

import pytest

from services.kernel import call
from services.kernel.call import Call
from services.kernel.errors import STOPPING_HEADER, Unavailable
from services.kernel.streams import Streams


@pytest.mark.parametrize(("begins", "repeated"), [(False, True), (True, False)])
async def test_only_what_has_not_begun_is_sent_to_another_replica(begins: bool, repeated: bool) -> None:
    streams = Streams()
    waits = asyncio.Event()

    async def responses() -> AsyncIterator[None]:
        call.current().begun = begins
        waits.set()
        await asyncio.Event().wait()
        yield

    async def follow() -> None:
        call.start(Call(method="m"))
        async for _ in streams.guarded(responses()):
            pass

    stream = asyncio.create_task(follow())
    await waits.wait()
    streams.end()
    with pytest.raises(Unavailable, match="about to stop") as ended:
        await stream
    assert (STOPPING_HEADER in ended.value.headers()) == repeated


async def _none() -> None:
    return


async def _for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("after", [_none, _for_ever])
async def test_one_that_is_ended_while_it_sends_is_complete_when_that_was_all(
    after: Callable[[], Awaitable[None]],
) -> None:
    streams = Streams()

    async def responses() -> AsyncIterator[str]:
        yield "all of it"
        await after()

    sent = []

    async def follow() -> None:
        async for response in streams.guarded(responses()):
            streams.end()
            sent.append(response)

    with nullcontext() if after is _none else pytest.raises(Unavailable, match="about to stop"):
        await follow()
    assert sent == ["all of it"]
    # And nobody is interrupted later, when there is nothing left to interrupt.
    await asyncio.sleep(0)


async def test_one_that_is_ended_while_it_sends_says_nothing_more() -> None:
    streams, sent = Streams(), []

    async def responses() -> AsyncIterator[int]:
        for number in count():
            yield number

    async def follow() -> None:
        async for response in streams.guarded(responses()):
            sent.append(response)
            if response == 2:
                streams.end()

    with pytest.raises(Unavailable, match="about to stop"):
        await follow()
    assert sent == [0, 1, 2]


async def test_none_begins_at_a_server_that_stops() -> None:
    streams, begun = Streams(), []
    streams.end()

    async def responses() -> AsyncIterator[int]:
        begun.append(True)
        yield 1

    with pytest.raises(Unavailable, match="about to stop"):
        await anext(streams.guarded(responses()))
    assert begun == []
