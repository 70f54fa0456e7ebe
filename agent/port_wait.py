"""Waiting until an instance accepts connections (spec/orchestration.md section 8.6)."""

import asyncio

from agent.domain.errors import NotReady

_LONGEST = 300.0
_EVERY = 1.0
_CONNECT = 1.0


async def wait_for_port(address: str, port: int, longest: float = _LONGEST, every: float = _EVERY) -> None:
    """Returns once `address` accepts a TCP connection on `port`. Raises NotReady when it does not in time."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + longest
    while not await _accepts(address, port):
        if clock.time() > deadline:
            raise NotReady(f"port {port} did not accept connections within {longest:.0f} s")
        await asyncio.sleep(every)


async def _accepts(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
