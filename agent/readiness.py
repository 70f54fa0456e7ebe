"""Whether the container of an instance counts as started: its port is open (docs/spec/orchestration.md section 8.6)."""

import asyncio
from collections.abc import Callable

from agent.domain.errors import NotReady
from agent.port_wait import wait_for_port
from agent.runtime.ports import Container, Runtime


class Readiness:
    """Follows one start of one container. `tell` is called when the wait is over. `problem` is why the instance is not
    ready, empty when it is or when there is nothing to wait for."""

    def __init__(self, runtime: Runtime, longest: float, tell: Callable[[], None]) -> None:
        self._runtime = runtime
        self._longest = longest
        self._tell = tell
        self._token = ""
        self._port = 0
        self._task: asyncio.Task[None] | None = None
        self.problem = ""

    @property
    def ready_for(self) -> str:
        """The start of the container that became ready, to be remembered."""
        return self._token

    def reached(self, container: Container | None, port: int, remembered: str) -> bool:
        """Whether the outcome is known; if not, waiting has begun. A start that was `remembered` as ready stays it."""
        token = _token(container)
        if not token or not port:
            self._forget(token)
            return True
        if token == self._token and port == self._port:
            return self._task is None
        self._forget(token)
        self._port = port
        if token == remembered:
            return True
        assert container is not None  # noqa: S101 -- it has a token.
        self._task = asyncio.create_task(self._wait(container.address or "127.0.0.1", port))
        return False

    def stopped(self, exit_code: int | None) -> None:
        """The container stopped by itself."""
        waiting = self._task is not None
        port = self._port
        self._forget("")
        if waiting:
            self.problem = f"the container stopped with exit code {exit_code} before port {port} accepted connections"

    def cancel(self) -> None:
        """Wait no longer."""
        self._forget("")

    def _forget(self, token: str) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._token = token
        self._port = 0
        self.problem = ""

    async def _wait(self, address: str, port: int) -> None:
        try:
            await wait_for_port(self._runtime, address, port, self._longest)
        except NotReady as error:
            self.problem = str(error)
        self._task = None
        self._tell()


def _token(container: Container | None) -> str:
    if container is None or not container.running:
        return ""
    return f"{container.id}@{container.started_at_ns}"
