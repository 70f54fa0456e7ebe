"""Checks the health of an instance's container, one start of it at a time (docs/spec/orchestration.md section 8.9)."""

import asyncio
import time
from collections.abc import Callable

from agent.domain.errors import EngineRefused, EngineUnreachable
from agent.domain.health import HEALTHY, UNHEALTHY, HealthCheck, check_of, http_problem
from agent.domain.log_frames import NANO
from agent.runtime.ports import Container, Runtime

# How much of what a failed command wrote is told.
_MOST_SAID = 300


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
        # What was wrong at the last failed check, and for how long all had been well before it.
        self.problem = ""
        self.well_for = 0.0

    def look(self, container: Container | None) -> None:
        """This is the container now; checks of another start of it end."""
        start = start_of(container)
        if start == self._start:
            return
        self._cancel()
        self._start = start
        if container is None or container.id != self._container_id or check_of(container.labels) is None:
            self.health = ""
        self._container_id = "" if container is None else container.id

    def begin(self, container: Container | None, *, fresh: bool) -> None:
        """Check this container from now on. `fresh`: it has become ready just now, so its initial delay begins now;
        that of others began with their start."""
        self.look(container)
        if container is None or not self._start[0] or self._task is not None:
            return
        check = check_of(container.labels)
        if check is None:
            return
        age = 0.0 if fresh else max(0.0, time.time() - container.started_at_ns / NANO)
        delay = max(0.0, check.initial_delay - age)
        self._task = asyncio.create_task(self._check(check, container.address or "127.0.0.1", self._start, delay))

    def condemns(self, container: Container | None) -> bool:
        """Whether this very start of the container was found unhealthy: a restart since then makes it good, and so does
        a later check."""
        return self._failed[0] != "" and self._failed == start_of(container)

    def cancel(self) -> None:
        """Check no longer."""
        self._cancel()
        self._start = ("", 0)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _check(self, check: HealthCheck, address: str, start: tuple[str, int], delay: float) -> None:
        clock = asyncio.get_running_loop()
        await asyncio.sleep(delay)
        well_since: float | None = None
        while True:
            began = clock.time()
            problem = await self._problem(check, address)
            if problem:
                self.problem, self.well_for = problem, 0.0 if well_since is None else began - well_since
                self.health, self._failed, well_since = UNHEALTHY, start, None
            else:
                self.health, self._failed, well_since = HEALTHY, ("", 0), began if well_since is None else well_since
            self._tell()
            await asyncio.sleep(check.interval)

    async def _problem(self, check: HealthCheck, address: str) -> str:
        """What is wrong, empty when nothing is."""
        if check.protocol == "exec":
            return await self._exec_problem(check)
        if check.protocol == "tcp":
            refusal = await self._runtime.probes.connect(address, check.port, check.timeout)
            return refusal and f"port {check.port}: {refusal}"
        answer = http_problem(await self._runtime.probes.http_status(address, check.port, check.uri, check.timeout))
        return answer and f"http port {check.port}{check.uri}: {answer}"

    async def _exec_problem(self, check: HealthCheck) -> str:
        said = bytearray()
        try:
            async with asyncio.timeout(check.timeout):
                code = await self._runtime.containers.execute(
                    self._container_id, check.cmd, lambda _, data: said.extend(data)
                )
        except TimeoutError:
            return f"{check.cmd[0]} did not end within {check.timeout} s"
        except (EngineRefused, EngineUnreachable) as error:
            return f"{check.cmd[0]}: {error}"
        words = bytes(said[-_MOST_SAID:]).decode(errors="replace").strip()
        return f"{check.cmd[0]} ended with {code}{words and f': {words}'}" if code else ""


def start_of(container: Container | None) -> tuple[str, int]:
    """Names one start of one container; empty while it does not run, or is paused and cannot answer."""
    if container is None or not container.running or container.paused:
        return ("", 0)
    return (container.id, container.started_at_ns)
