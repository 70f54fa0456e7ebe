"""Logs of a container with the engine's times, both streams in the engine's order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent.domain.errors import EngineUnreachable
from agent.domain.log_frames import NANO, Frame, Position, read_frames
from agent.runtime.docker.engine import Engine


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
    rest = b""
    # All that is there at once: asking for each frame would cost more than all the rest that is done with it.
    async for data in response.content.iter_any():
        sent = rest + data
        frames, used = read_frames(sent)
        rest = sent[used:]
        for frame in frames:
            yield frame
    if rest:
        raise EngineUnreachable("the log broke off")
