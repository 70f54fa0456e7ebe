"""Segments of log lines: a stretch of ids, of which is known who has lines in which part of it."""

from collections.abc import Iterable
from typing import NamedTuple

SIZE_BITS = 14
PART_BITS = 8
# What a line costs a search: one, and one more for each so many bytes.
LINE_BYTES = 512
SIZE = 1 << SIZE_BITS
_PART = 1 << PART_BITS
_PARTS = SIZE // _PART

# The first and the last id.
Range = tuple[int, int]


class Segment(NamedTuple):
    """What some streams have in a segment together. `parts` has a bit for each part with a line, the lowest first."""

    number: int
    lines: int
    cost: int
    parts: int

    @property
    def search_cost(self) -> int:
        """What it costs a search, which reads the lines of others that are in the same parts: each half a line."""
        return self.cost + self.parts.bit_count() * _PART // 2

    @property
    def first(self) -> int:
        """The lowest id."""
        return self.number << SIZE_BITS

    @property
    def last(self) -> int:
        """The highest id."""
        return self.first + SIZE - 1

    def ranges(self) -> list[Range]:
        """Where its lines are, in the order of ids; parts beside each other are one range."""
        found: list[Range] = []
        for part in range(_PARTS):
            if not self.parts >> part & 1:
                continue
            first = self.first + part * _PART
            begun = found.pop()[0] if found and found[-1][1] == first - 1 else first
            found.append((begun, first + _PART - 1))
        return found


def enough(segments: Iterable[Segment], *, lines: int, cost: int, ranges: int) -> list[Segment]:
    """The first of the segments, at least one: no more than have so many lines, than so much cost, and than so many
    ranges."""
    chosen: list[Segment] = []
    for segment in segments:
        cost -= segment.search_cost
        ranges -= len(segment.ranges())
        if chosen and (lines <= 0 or cost < 0 or ranges < 0):
            break
        chosen.append(segment)
        lines -= segment.lines
    return chosen


def windows(first: int, last: int, *, newest_first: bool) -> list[Range]:
    """Stretches of segment numbers that cover those from `first` to `last`, each eight times as long as the one before:
    who finds enough in the first ones looks at no more, and nobody looks many times."""
    found: list[Range] = []
    length = 8
    while first <= last:
        if newest_first:
            found.append((max(first, last - length + 1), last))
            last -= length
        else:
            found.append((first, min(last, first + length - 1)))
            first += length
        length *= 8
    return found
