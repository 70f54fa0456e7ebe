"""Messages of a stream, all that wait at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from typing import TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


async def gathered(messages: AsyncIterator[M], most_bytes: int) -> AsyncGenerator[Sequence[M]]:
    """The messages in order: each time those that came meanwhile, so that a busy stream is worked on in larger pieces
    and an idle one at once. Reads ahead until `most_bytes` wait, and one message beyond. Raises what the stream raises,
    after what came before."""
    waiting: list[M] = []
    came, taken = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        size = 0
        try:
            async for message in messages:
                waiting.append(message)
                size = size + message.ByteSize() if len(waiting) > 1 else message.ByteSize()
                came.set()
                if size >= most_bytes:
                    taken.clear()
                    await taken.wait()
        finally:
            came.set()

    reader = asyncio.ensure_future(read())
    try:
        while waiting or not reader.done():
            await came.wait()
            came.clear()
            found, waiting[:] = tuple(waiting), ()
            taken.set()
            if found:
                yield found
        await reader
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(reader, return_exceptions=True)
