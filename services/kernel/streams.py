"""Ends the streams of a process that is about to stop, so that nobody waits for it to be killed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from services.kernel.errors import Unavailable


class Streams:
    """Streaming RPCs in progress. `end` interrupts those that wait; one that is sending ends after its message."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[Any]] = set()
        self._ended = False

    def end(self) -> None:
        """End them, and each that begins from now on, with Unavailable. Idempotent."""
        if not self._ended:
            self._ended = True
            for task in self._waiting:
                task.cancel()

    async def guarded(self, responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The responses of a stream, until the end."""
        async with aclosing(responses):  # type: ignore[type-var]
            while True:
                with self._interruptible():
                    response = await anext(responses, None)
                if response is None:
                    return
                yield response

    def ending(self, method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """The same for a method that takes a stream and answers once."""

        async def run(requests: Any, context: Any) -> Any:
            with self._interruptible():
                return await method(requests, context)

        return run

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self._ended:
            raise _stopping()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- for the type checker.
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise _stopping() from None
        finally:
            self._waiting.discard(task)


def _stopping() -> Unavailable:
    return Unavailable("This server is about to stop. Connect again.", reason="SERVER_STOPPING")
