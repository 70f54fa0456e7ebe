"""Jobs that are worked on together when they are many."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

J = TypeVar("J")


class Together(Generic[J]):
    """`work` gets the jobs of one key that came while those before them were worked on, in the order in which they
    came, at most `most` of them; a job that comes alone is worked on at once. So a busy key needs one transaction for
    what many callers bring, and nobody holds a connection while others of the key are at work.

    When the work on several jobs fails, each is tried by itself: what is wrong with one is told to its caller alone.
    """

    def __init__(self, work: Callable[[Sequence[J]], Awaitable[None]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: dict[str, deque[tuple[J, asyncio.Future[None]]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def do(self, key: str, job: J) -> None:
        """Returns when the work on the job is done; raises what it raised. A caller who goes away leaves the job to
        itself if it has begun, and takes it back otherwise."""
        done = asyncio.get_running_loop().create_future()
        if (waiting := self._waiting.get(key)) is not None:
            waiting.append((job, done))
        else:
            self._waiting[key] = deque([(job, done)])
            worker = asyncio.create_task(self._run(key), name=f"work on {key}")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        await done

    async def _run(self, key: str) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                taken = [waiting.popleft() for _ in range(min(self._most, len(waiting)))]
                await self._finish([(job, done) for job, done in taken if not done.done()])
        finally:
            del self._waiting[key]
            for _, done in waiting:
                done.cancel()

    async def _finish(self, jobs: Sequence[tuple[J, asyncio.Future[None]]]) -> None:
        try:
            if jobs:
                await self._work([job for job, _ in jobs])
        except Exception as error:
            if len(jobs) > 1:
                for one in jobs:
                    await self._finish([one])
            elif not jobs[0][1].done():
                jobs[0][1].set_exception(error)
        else:
            for _, done in jobs:
                if not done.done():
                    done.set_result(None)
        finally:
            # The process ends: nobody knows what became of these.
            for _, done in jobs:
                done.cancel()
