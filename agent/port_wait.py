"""Waiting until an instance accepts connections (docs/spec/orchestration.md section 8.6)."""

import asyncio

from agent.domain.errors import NotReady
from agent.runtime.ports import Probes

_EVERY = 1.0
_CONNECT = 1.0


async def wait_for_port(probes: Probes, address: str, port: int, longest: float, every: float = _EVERY) -> None:
    """Returns once `address` accepts a TCP connection on `port`. Raises NotReady when it does not in time."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + longest
    while problem := await probes.connect(address, port, _CONNECT):
        if clock.time() > deadline:
            raise NotReady(f"port {port} did not accept connections within {longest:.0f} s: {problem}")
        await asyncio.sleep(every)
