"""Items that were read, and how far that went."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class Part(list[T]):
    """Items, oldest first. `until` is there when the look for them ended early: the id of the last item that it took
    into account. What lies beyond, before it or after it, was not looked at."""

    def __init__(self, items: Iterable[T] = (), until: int | None = None) -> None:
        super().__init__(items)
        self.until = until
