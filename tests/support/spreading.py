"""What it costs to tell something to many agents, and what it may cost."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import psutil

MIB = 1024 * 1024
CHANGES = 5
# Other tests run beside the short form.
_SLOWEST = 2 if os.environ.get("KONTENA_SOAK") else 20


class Listening(Protocol):
    """An agent that listens; `told` are the bytes of the messages it got."""

    told: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Of `CHANGES` changes: seconds until all knew the slowest, bytes per agent of one, growth of the process."""

    slowest: float
    bytes_each: float
    grown: int

    def __str__(self) -> str:
        known = f"a change is known to all within {self.slowest:.2f} s"
        return f"{known}, {self.bytes_each:.0f} bytes per agent, {self.grown / MIB:.1f} MiB more in the process"

    def check(self) -> None:
        """Fails when it is too much, however many they are."""
        assert self.slowest < _SLOWEST, "seconds until all know"
        assert self.bytes_each < 300, "bytes per agent and change"
        assert self.grown < 32 * MIB


@asynccontextmanager
async def at_work(
    work: Iterable[Coroutine[Any, Any, None]], channels: Sequence[grpc.aio.Channel]
) -> AsyncIterator[None]:
    """What agents do, until the block ends and their channels are closed."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    except AssertionError as error:
        ended = [repr(task.exception())[:300] for task in tasks if task.done() and not task.cancelled()]
        error.add_note(f"{len(ended)} of {len(tasks)} agents had ended: {ended[:1]}")
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in channels))


async def spread(
    process: psutil.Process, listeners: Sequence[Listening], change: Callable[[int], Awaitable[float]]
) -> Cost:
    """Make changes, number by number; each returns the seconds until all know of it."""
    told, memory = sum(each.told for each in listeners), process.memory_info().rss
    slowest = max([await change(number) for number in range(CHANGES)])
    told = sum(each.told for each in listeners) - told
    return Cost(slowest, told / len(listeners) / CHANGES, process.memory_info().rss - memory)


def complete(seconds: float, listeners: Sequence[Listening], grown: int) -> str:
    """What it took until all knew everything. Fails when the process grew by too much."""
    assert grown < (64 + len(listeners) / 4) * MIB
    each = sum(each.told for each in listeners) / len(listeners) / 1024
    time = f"{len(listeners)} agents: all know all after {seconds:.1f} s"
    return f"{time}, {each:.0f} KiB per agent, {grown / MIB:.0f} MiB more in the process"
