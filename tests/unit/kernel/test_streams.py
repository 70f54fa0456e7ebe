"""Streams that a stopping process ends say whether they may be repeated elsewhere."""

import asyncio
from collections.abc import AsyncIterator

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
