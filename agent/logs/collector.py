"""Reads the logs of all containers into the queue, from their first line to their last."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from agent.domain import labels
from agent.domain.backoff import retry_delay
from agent.domain.errors import EngineRefused, EngineUnreachable
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import Assembler, Cursor, Frame, Position, Repeats
from agent.domain.log_rate import LineBudget, LogRate
from agent.logs.container_lines import ContainerLines
from agent.logs.line_queue import Line, LineQueue
from agent.logs.positions import LogPositions
from agent.runtime.ports import Container, Runtime
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DRAIN_SECONDS = 10.0
# Lines that are dropped in a row before the others get their turn.
_DROPPED_AT_ONCE = 500
UNLIMITED = LogRate(0, 0)


class LogCollector:
    """One follower per container. Where a container was never read, it is read from its beginning.

    `on_line` hears of every line, with the labels of its container, before it is put into the queue.
    """

    def __init__(
        self,
        runtime: Runtime,
        queue: LineQueue,
        positions: LogPositions,
        on_line: Callable[[pb.LogLine, Mapping[str, str]], None] = lambda _line, _labels: None,
        rate: LogRate = UNLIMITED,
    ) -> None:
        self._runtime = runtime
        self._queue = queue
        self._positions = positions
        self._on_line = on_line
        self._rate = rate
        self._budgets: dict[str, LineBudget] = {}
        self._read: dict[str, Position] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self.instance_id: Callable[[InstanceKey], str] = lambda _: ""

    def follow(self, container_id: str) -> None:
        """Collect this container's log until it stops. While that is going on, look once more at its end."""
        if container_id in self._tasks:
            self._again.add(container_id)
            return
        task = asyncio.create_task(self._follow(container_id), name=f"log {container_id[:12]}")
        self._tasks[container_id] = task
        task.add_done_callback(lambda _: self._ended(container_id))

    def _ended(self, container_id: str) -> None:
        task = self._tasks.pop(container_id)
        if task.cancelled():
            return
        if task.exception() is not None:
            log.error("log follower failed", container=container_id[:12], exc_info=task.exception())
        if container_id in self._again:
            self._again.discard(container_id)
            self.follow(container_id)

    def knows(self, container_id: str) -> bool:
        """Whether the log was read, or is being read, by this process."""
        return container_id in self._read or container_id in self._tasks

    def keep_only(self, container_ids: set[str]) -> None:
        """Forget containers that are gone."""
        for container_id in self._read.keys() - container_ids - self._tasks.keys():
            del self._read[container_id]
        for container_id in self._budgets.keys() - container_ids - self._tasks.keys():
            del self._budgets[container_id]
        self._positions.keep_only(container_ids)

    async def drained(self, container_id: str) -> None:
        """Returns once the log of a stopped container is read to its end. Gives up after 10 s: then the rest is lost
        with the container."""
        if container_id not in self._tasks:
            self.follow(container_id)
        task = self._tasks[container_id]
        done, _ = await asyncio.wait([task], timeout=_DRAIN_SECONDS)
        if not done:
            log.warning("removing a container before its log was read to the end", container=container_id[:12])

    def add(self, container: Container, stream: str, lines: Sequence[bytes], hook: str) -> None:
        """Put lines into the container's log that it has not written itself but `hook` has, as of now. They are lost
        when the queue is full: whoever says them has work to do, and must not wait for a master that is away."""
        made = self._lines(container)
        for data in lines:
            # Its own log goes on where it was.
            after = self._read.get(container.id) or self._positions.get(container.id) or Position()
            line = made.line(Frame(stream, time.time_ns(), data, complete=True), hook)
            self._on_line(line, container.labels)
            self._queue.offer(Line.of(line, after))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, container_id: str) -> None:
        failures = 0
        while True:
            try:
                finished = await self._follow_once(container_id)
            except EngineUnreachable as error:
                failures += 1
                log.info("log interrupted", container=container_id[:12], cause=str(error))
                finished = False
            except EngineRefused as error:
                # Gone meanwhile, or its log driver cannot be read.
                log.info("log cannot be read", container=container_id[:12], cause=str(error)[:300])
                self._read.setdefault(container_id, Position())
                return
            if finished:
                return
            await asyncio.sleep(min(0.1 + retry_delay(failures) * bool(failures), 15.0))

    async def _follow_once(self, container_id: str) -> bool:
        """Read until the container stops, then to the end of its log. False when it is running again."""
        container = await self._runtime.containers.inspect(container_id)
        if container is None or container.labels.get(labels.SKIP_LOGS) == "1":
            self._read.setdefault(container_id, Position())
            return True
        if container.running:
            await self._copy(container, follow=True)
            container = await self._runtime.containers.inspect(container_id)
            if container is None:
                return True
            if container.running:
                return False
        # Engines may end a followed log a few lines early when the container exits; the rest is in the file.
        await self._copy(container, follow=False)
        return True

    async def _copy(self, container: Container, *, follow: bool) -> None:
        start = self._read.get(container.id) or self._positions.get(container.id) or Position()
        lines, cursor, repeats, assembler = self._lines(container), Cursor(start), Repeats(), Assembler()
        async with self._runtime.logs(container.id, start, follow=follow) as frames:
            async for frame in frames:
                if repeats.has(frame) or not cursor.read(frame.time_ns):
                    continue
                line = assembler.add(frame)
                if not assembler.pending:
                    start = cursor.position()
                if line is not None:
                    await self._put(lines, line, start)
        if not follow:
            for line in assembler.rest():
                await self._put(lines, line, cursor.position())
            await self._tell_loss(lines, cursor.position())
        self._read.setdefault(container.id, start)

    def _lines(self, container: Container) -> ContainerLines:
        return ContainerLines(container, self.instance_id)

    async def _put(self, of: ContainerLines, frame: Frame, after: Position) -> None:
        now = time.monotonic()
        budget = self._budgets.get(of.id)
        if budget is None:
            budget = self._budgets[of.id] = LineBudget(self._rate, now)
        if not budget.takes(len(frame.data), now):
            self._read[of.id] = after
            if budget.dropped % _DROPPED_AT_ONCE == 0:
                await asyncio.sleep(0)
            return
        if budget.dropped:
            await self._tell_loss(of, after)
        await self._queue_line(of, frame, after)

    async def _tell_loss(self, of: ContainerLines, after: Position) -> None:
        """One line in the place of those that were dropped."""
        budget = self._budgets.get(of.id)
        if budget is not None and (words := budget.loss()):
            log.warning("a container logs too fast", container=of.name, cause=words)
            await self._queue_line(of, Frame("stderr", time.time_ns(), words.encode(), complete=True), after)

    async def _queue_line(self, of: ContainerLines, frame: Frame, after: Position) -> None:
        line = of.line(frame)
        self._on_line(line, of.labels)
        item = Line.of(line, after)
        if not self._queue.offer(item):
            await self._queue.put(item)
        self._read[of.id] = after
