"""Streams of one JSON document per line, of any length up to a limit."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

_LONGEST = 4 * 1024 * 1024


async def json_lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Each document as it arrives. Raises ValueError for one without end."""
    buffer = b""
    async for chunk in response.content.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
        if len(buffer) > _LONGEST:
            raise ValueError("the engine sent a document without end")
    if buffer.strip():
        yield json.loads(buffer)
