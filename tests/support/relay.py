"""Bytes between two connections, for what stands between a client and a server."""

import asyncio
from contextlib import suppress

_CHUNK = 65536


async def pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Both ways until either side has ended."""
    far_reader, far_writer = far
    await asyncio.gather(_one_way(reader, far_writer), _one_way(far_reader, writer))


async def _one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    target.close()
