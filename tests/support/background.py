"""What goes on beside a test for as long as a block lasts."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Background:
    """`with` it, each turn runs in a thread of its own. They end soon after `_stop` is set, which the end of the block
    does; it fails when one does not within `patience` seconds."""

    def __init__(self, *turns: Callable[[], None], patience: float) -> None:
        self._stop = threading.Event()
        self._patience = patience
        self._threads = [threading.Thread(target=turn) for turn in turns]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(self._patience)
        assert not any(thread.is_alive() for thread in self._threads), "it goes on for ever"
