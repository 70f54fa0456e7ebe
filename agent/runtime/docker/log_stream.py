"""Logs of a container with the engine's times, both streams in the engine's order."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent.domain.errors import EngineUnreachable
from agent.domain.log_frames import NANO, Frame, Position, parse_frame
from agent.runtime.docker.engine import Engine

_STREAMS = {1: "stdout", 2: "stderr"}
_HEADER = struct.Struct(">BxxxL")


@asynccontextmanager
async def open_log(
    engine: Engine, container_id: str, start: Position, *, follow: bool
) -> AsyncIterator[AsyncIterator[Frame]]:
    """The frames from `start` on; with `follow` they end when the container stops. Both ends cut the connection."""
    params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
    if start.since_ns:
        params["since"] = f"{start.since_ns // NANO}.{start.since_ns % NANO:09d}"
    async with engine.opened(f"containers/{container_id}/logs", params) as response:
        yield _frames(response)


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    while True:
        try:
            header = await response.content.readexactly(_HEADER.size)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise EngineUnreachable("the log broke off") from error
            return
        kind, size = _HEADER.unpack(header)
        try:
            payload = await response.content.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise EngineUnreachable("the log broke off") from error
        frame = parse_frame(_STREAMS.get(kind, "stdout"), payload)
        if frame is not None:
            yield frame
