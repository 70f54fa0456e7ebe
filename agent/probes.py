"""Looks at an instance from outside: does it accept connections, how does it answer, and if not, what the connection
said."""

import asyncio
import os

import aiohttp

from services.kernel.version import VERSION

_USER_AGENT = f"Kontena-Agent/{VERSION}"


async def connect(address: str, port: int, seconds: float) -> str:
    """Why no TCP connection to `address` opens within `seconds`; empty when one does."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError) as error:
        return _words(error, seconds)
    writer.close()
    return ""


async def http_status(address: str, port: int, uri: str, seconds: float) -> int | str:
    """Status of a GET, redirects not followed; without one within `seconds`, why there is none."""
    host = f"[{address}]" if ":" in address else address
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": _USER_AGENT}) as session,
            session.get(f"http://{host}:{port}{uri}", allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return _words(error, seconds)


def _words(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case OSError() if error.errno is not None:
            return os.strerror(error.errno).lower()
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
        case _:
            return str(error) or type(error).__name__
