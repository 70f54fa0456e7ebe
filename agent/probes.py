"""Looks at an instance from outside: does it accept connections, how does it answer."""

import asyncio

import aiohttp

from agent.version import VERSION

_USER_AGENT = f"Kontena-Agent/{VERSION}"


async def accepts(address: str, port: int, seconds: float) -> bool:
    """Whether a TCP connection to `address` opens within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def http_status(address: str, port: int, uri: str, seconds: float) -> int | None:
    """Status of a GET, redirects not followed; None without an answer within `seconds`."""
    host = f"[{address}]" if ":" in address else address
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": _USER_AGENT}) as session,
            session.get(f"http://{host}:{port}{uri}", allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
