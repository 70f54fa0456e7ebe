"""What changes step by step and is told to many."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

S = TypeVar("S")

# Steps that are kept for who is behind.
_KEPT = 50


class Steps(Generic[S]):
    """The newest steps, which are numbered: each listener remembers how far it is. So one that is slow costs nothing
    here, and everybody hears the very same objects, which become messages once. Who is too far behind hears the
    `whole` as it is by then."""

    def __init__(self, whole: Callable[[], Sequence[S]]) -> None:
        self._whole = whole
        self._kept: deque[S] = deque(maxlen=_KEPT)
        self.number = 0

    def add(self, *steps: S) -> None:
        """The next steps. What `whole` says has them already."""
        self._kept.extend(steps)
        self.number += len(steps)

    def after(self, number: int | None) -> Sequence[S]:
        """What follows the step of this number, up to the step `self.number`; the whole for None."""
        behind = self.number + 1 if number is None else self.number - number
        if behind > len(self._kept):
            return self._whole()
        return tuple(islice(self._kept, len(self._kept) - behind, None))
