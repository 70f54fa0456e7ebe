"""Whether the container of an instance counts as started (docs/adr/0085): its port has opened, or, where none is waited
for, it has stayed up for a moment."""

import asyncio
from collections.abc import Callable

from agent.domain.errors import NotReady
from agent.domain.status import exit_words
from agent.port_wait import wait_for_port
from agent.runtime.ports import Container, Probes


class Readiness:
    """Follows one start of one container. `longest` is how many seconds its port may take, `settle` how many it must
    stay up without one. `tell` is called when the wait is over. `problem` is why the instance is not ready, empty when
    it is or when there is nothing to wait for; that of a start stays until the next one."""

    def __init__(self, probes: Probes, longest: float, settle: float, tell: Callable[[], None]) -> None:
        self._probes = probes
        self._longest = longest
        self._settle = settle
        self._tell = tell
        self._token = ""
        self._port = 0
        # The start that was found to be ready.
        self._ready = ""
        self._task: asyncio.Task[None] | None = None
        # Times of the loop's clock: of the last look at the container, and of the end of the wait.
        self._looked_at = 0.0
        self._over_at = 0.0
        self.problem = ""

    @property
    def ready_for(self) -> str:
        """The start of the container that became ready, to be remembered."""
        return self._token

    def looks(self) -> None:
        """Somebody is about to look at the container; what is known afterwards is not older than this."""
        self._looked_at = asyncio.get_running_loop().time()

    def reached(self, container: Container | None, port: int, remembered: str) -> bool:
        """Whether the outcome is known; if not, waiting has begun. A start that was `remembered` as ready stays it."""
        token = _token(container)
        if (token, port) != (self._token, self._port):
            self._forget(token, port)
            if container is not None and token and token != remembered:
                self._begin(container, port)
        known = self._task is None and self._looked_at >= self._over_at
        if known and not self.problem:
            self._ready = token
        return known

    def _begin(self, container: Container, port: int) -> None:
        # The moment counts from the first look: an engine that is slow to start is slow to notice an end as well.
        wait = self._wait(container.address or "127.0.0.1", port) if port else self._stay()
        self._task = asyncio.create_task(wait)

    def stopped(self, container: Container, port: int, remembered: str) -> None:
        """The container ended by itself, which is a problem of this start unless it was ready."""
        start = _start(container)
        was_ready = start in (remembered, self._ready)
        self._forget("", port)
        if not was_ready:
            moment = f"before port {port} accepted connections" if port else "right after its start"
            self.problem = f"the container ended by itself with {exit_words(container)} {moment}; {_advice(container)}"

    def cancel(self) -> None:
        """Wait no longer."""
        self._forget("", 0)

    def _forget(self, token: str, port: int) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._token = token
        self._port = port
        self.problem = ""

    async def _wait(self, address: str, port: int) -> None:
        try:
            await wait_for_port(self._probes, address, port, self._longest)
        except NotReady as error:
            self.problem = str(error)
        self._over()

    async def _stay(self) -> None:
        await asyncio.sleep(self._settle)
        self._over()

    def _over(self) -> None:
        self._task = None
        self._over_at = asyncio.get_running_loop().time()
        self._tell()


def _advice(container: Container) -> str:
    if container.exit_code:
        return "its logs tell more"
    return "an instance has to stay up, so give it a command that stays in the foreground"


def _token(container: Container | None) -> str:
    return _start(container) if container is not None and container.running else ""


def _start(container: Container) -> str:
    return f"{container.id}@{container.started_at_ns}"
