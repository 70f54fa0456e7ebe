"""Waiting until an instance accepts connections (docs/spec/orchestration.md section 8.6)."""

import asyncio
from collections.abc import Iterator

from agent.domain.errors import NotReady
from agent.runtime.ports import Probes

# Most servers listen a moment after their start, and each step of a rolling update waits for it.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_CONNECT = 1.0


async def wait_for_port(probes: Probes, address: str, port: int, longest: float) -> None:
    """Returns once `address` accepts a TCP connection on `port`. Raises NotReady when it does not in time."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + longest
    waits = pauses()
    while problem := await probes.connect(address, port, _CONNECT):
        if clock.time() > deadline:
            raise NotReady(f"port {port} did not accept connections within {longest:.0f} s: {problem}")
        await asyncio.sleep(next(waits))


def pauses() -> Iterator[float]:
    """Seconds between attempts: short ones first, a second each in the long run."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
