"""Ends streams early: all of them when the process is about to stop, one when its caller may not have it any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from services.kernel import call
from services.kernel.errors import DomainError, NotHere, Unavailable


class Streams:
    """Streaming RPCs in progress, by task. One that waits is interrupted, one that sends ends after its message."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[Any]] = set()
        self._reasons: dict[asyncio.Task[Any], DomainError] = {}
        self._ended = False

    def end(self) -> None:
        """End all, and each that begins from now on, with Unavailable. Idempotent."""
        if not self._ended:
            self._ended = True
            for task in self._waiting:
                task.cancel()

    def end_one(self, task: asyncio.Task[Any], reason: DomainError) -> None:
        """End the stream that runs in a task, with this error."""
        if task not in self._reasons:
            self._reasons[task] = reason
            if task in self._waiting:
                task.cancel()

    async def guarded(self, responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The responses of a stream, until the end. One that is ended while it sends its last message is complete."""
        task = _this_task()
        async with aclosing(responses):  # type: ignore[type-var]
            if (reason := self._reason(task)) is not None:
                raise reason
            while True:
                with self._waits(task) if reason is None else self._interrupted_when_it_waits(task):
                    response = await anext(responses, None)
                if response is None:
                    return
                if reason is not None:
                    raise reason
                yield response
                reason = self._reason(task)

    def ending(self, method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """The same for a method that takes a stream and answers once."""

        async def run(requests: Any, context: Any) -> Any:
            task = _this_task()
            if (reason := self._reason(task)) is not None:
                raise reason
            with self._waits(task):
                return await method(requests, context)

        return run

    def forget(self, task: asyncio.Task[Any]) -> None:
        """The stream of the task is over."""
        self._reasons.pop(task, None)

    @contextmanager
    def _interrupted_when_it_waits(self, task: asyncio.Task[Any]) -> Iterator[None]:
        interrupting = asyncio.get_running_loop().call_soon(task.cancel)
        try:
            with self._waits(task):
                yield
        finally:
            interrupting.cancel()

    @contextmanager
    def _waits(self, task: asyncio.Task[Any]) -> Iterator[None]:
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            reason = self._reason(task)
            if reason is None:
                raise
            task.uncancel()
            raise reason from None
        finally:
            self._waiting.discard(task)

    def _reason(self, task: asyncio.Task[Any]) -> DomainError | None:
        return _stopping() if self._ended else self._reasons.get(task)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 -- for the type checker.
    return task


def _stopping() -> Unavailable:
    if call.current().begun:
        return Unavailable("This server is about to stop.", reason=NotHere.reason)
    return NotHere("This server is about to stop. Connect again.")
