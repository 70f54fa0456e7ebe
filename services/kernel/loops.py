"""Supervised background work: a loop that fails is logged, counted and started again, until the process stops."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Gauge

from services.kernel.logs import get_logger

log = get_logger(__name__)

_FAILURES = Counter("loop_failures_total", "Failed turns of background loops.", ["loop"])
_SUCCESS = Gauge("loop_last_success_timestamp_seconds", "When a background loop last finished a turn.", ["loop"])
# Copies of what others own are right again so soon after these are back.
_LONGEST_PAUSE = 2.0
# A loop that ran for so long had a good start: its next failure is the first one again.
_WELL_SECONDS = 15.0

Work = Callable[[], Awaitable[None]]


class Supervisor:
    """Owns the background tasks of a process. Used as `async with`; leaving the block cancels and awaits them."""

    def __init__(self) -> None:
        self._loops: list[tuple[str, Work]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, name: str, work: Work) -> None:
        """Run `work` for ever; it may return or raise, then it is called again after a jittered, growing pause."""
        self._loops.append((name, work))

    def every(self, name: str, period: float, turn: Work, wake: asyncio.Event | None = None) -> None:
        """Call `turn` each `period` seconds (jittered), and at once when `wake` is set."""

        async def work() -> None:
            while True:
                if wake is not None:
                    wake.clear()
                await turn()
                _SUCCESS.labels(name).set_to_current_time()
                await _pause(period * random.uniform(0.9, 1.1), wake)

        self.add(name, work)

    async def __aenter__(self) -> "Supervisor":
        self._tasks = [asyncio.create_task(_keep_running(name, work), name=name) for name, work in self._loops]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _keep_running(name: str, work: Work) -> None:
    failures = 0
    clock = asyncio.get_running_loop()
    while True:
        started = clock.time()
        try:
            await work()
            failures = 0
        except Exception as error:
            failures = 1 if clock.time() - started > _WELL_SECONDS else failures + 1
            _FAILURES.labels(name).inc()
            if is_told(failures):
                log.warning("loop failed", loop=name, failures=failures, error=repr(error)[:500])
        await asyncio.sleep(backoff(failures))


def is_told(failures: int) -> bool:
    """Whether the last of so many failures in a row is logged: an outage may be long, so fewer and fewer are."""
    return failures & (failures - 1) == 0


def backoff(failures: int) -> float:
    """Seconds to wait before the next try: random, doubling, at most 2."""
    return random.uniform(0.05, 0.1 * min(2.0 ** min(failures, 10), _LONGEST_PAUSE / 0.1))


async def _pause(seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
