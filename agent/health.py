"""Checks the health of an instance's container, one start of it at a time (spec/orchestration.md section 8.9)."""

import asyncio
import time
from collections.abc import Callable

from agent.domain.health import HEALTHY, UNHEALTHY, HealthCheck, check_of, is_healthy
from agent.domain.log_frames import NANO
from agent.runtime.ports import Container, Runtime


class HealthMonitor:
    """`health` is healthy, unhealthy or empty, and stays through a restart until the next check says otherwise.
    `tell` is called after each check."""

    def __init__(self, runtime: Runtime, tell: Callable[[], None]) -> None:
        self._runtime = runtime
        self._tell = tell
        self._start = ("", 0)
        self._failed = ("", 0)
        self._container_id = ""
        self._task: asyncio.Task[None] | None = None
        self.health = ""
        # What was wrong at the last failed check.
        self.problem = ""

    def follow(self, container: Container | None) -> None:
        """Check this container while it runs."""
        start = start_of(container)
        if start == self._start:
            return
        self._cancel()
        self._start = start
        check = None if container is None else check_of(container.labels)
        if container is None or check is None or container.id != self._container_id:
            self.health = ""
        self._container_id = "" if container is None else container.id
        if container is not None and container.running and check is not None:
            self._task = asyncio.create_task(self._check(check, container.address or "127.0.0.1", start))

    def condemns(self, container: Container | None) -> bool:
        """Whether this very start of the container was found unhealthy: a restart since then makes it good."""
        return self._failed[0] != "" and self._failed == start_of(container)

    def cancel(self) -> None:
        """Check no longer."""
        self._cancel()
        self._start = ("", 0)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _check(self, check: HealthCheck, address: str, start: tuple[str, int]) -> None:
        # The delay is for a container that has just started, not for an agent that has.
        age = time.time() - start[1] / NANO
        await asyncio.sleep(min(check.initial_delay, max(0.0, check.initial_delay - age)))
        while await self._healthy(check, address):
            self.health = HEALTHY
            self._tell()
            await asyncio.sleep(check.interval)
        self.health = UNHEALTHY
        self._failed = start
        self._tell()

    async def _healthy(self, check: HealthCheck, address: str) -> bool:
        if check.protocol == "tcp":
            self.problem = f"port {check.port} is closed"
            return await self._runtime.accepts(address, check.port, check.timeout)
        status = await self._runtime.http_status(address, check.port, check.uri, check.timeout)
        answer = f"no answer within {check.timeout} s" if status is None else f"status {status}"
        self.problem = f"http port {check.port}{check.uri}: {answer}"
        return is_healthy(status)


def start_of(container: Container | None) -> tuple[str, int]:
    """Names one start of one container; empty while it does not run."""
    if container is None or not container.running:
        return ("", 0)
    return (container.id, container.started_at_ns)
