"""Looking into containers and running commands in them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Execution(Protocol):
    """A command in a container."""

    async def read(self) -> tuple[str, bytes] | None:
        """stdout or stderr, and what was written to it; None at the end."""

    async def write(self, data: bytes) -> None:
        """Give it input."""

    async def end_input(self) -> None:
        """No more input follows."""

    async def resize(self, width: int, height: int) -> None:
        """Change its terminal."""

    async def exit_code(self) -> int:
        """The exit code, once there is no more output."""


class Inspection(Protocol):
    """What the engine shows of containers, in the engine's own JSON. Raises EngineUnreachable and EngineRefused."""

    def changes(self) -> AsyncIterator[str | None]:
        """Ids of containers with our labels that changed; None says that changes may have been missed. Ends or raises
        when the connection breaks."""

    async def describe(self, container_id: str) -> dict[str, Any] | None:
        """The description of a container, None when there is none."""

    async def processes(self, container_id: str) -> list[dict[str, str]]:
        """The processes of a running container."""

    async def usage(self, container_id: str) -> Mapping[str, Any] | None:
        """The counters of a running container, None when there is none."""

    def execute(
        self, container_id: str, cmd: Sequence[str], *, stdin: bool, tty: bool
    ) -> AbstractAsyncContextManager[Execution]:
        """Run a command; leaving the block ends it."""
