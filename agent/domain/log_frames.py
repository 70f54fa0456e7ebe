"""Log frames of the engine: parsing, joining of split lines, and the position to go on reading from."""

import itertools
import struct
from collections import deque
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

NANO = 1_000_000_000
# A single line is delivered in pieces beyond this size; the engine itself splits at 16 KiB.
LONGEST_LINE = 256 * 1024

_SLACK = NANO // 4
_REBASE = NANO
_MOST_REMEMBERED = 20_000
_MOST_MARKS = 4096
# Before each frame, which stream it is of and how long it is.
_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: "stdout", 2: "stderr"}


# Tuples, as each line of each container makes one of both.
class Frame(NamedTuple):
    """One message of the engine's log. `complete` is false when the line goes on in the next frame of the stream."""

    stream: str
    time_ns: int
    data: bytes
    complete: bool


class Position(NamedTuple):
    """Read frames from `since_ns` on (inclusive) and skip the first `skip` of them; none is newer than `newest_ns`."""

    since_ns: int = 0
    skip: int = 0
    newest_ns: int = 0


def parse_time(text: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time in UTC; None when it is not one."""
    base, _, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or len(fraction) > 9 or not (fraction or "0").isdigit():
        return None
    seconds = _seconds(base)
    return None if seconds is None else seconds * NANO + int(fraction.ljust(9, "0") or "0")


@lru_cache(maxsize=128)
def _seconds(base: str) -> int | None:
    """Kept, as many lines are of the same second."""
    try:
        return int(datetime.fromisoformat(f"{base}+00:00").timestamp())
    except ValueError:
        return None


def read_frames(data: bytes) -> tuple[list[Frame], int]:
    """The frames in what the engine sent of a log with timestamps, and how many bytes they took: the rest is the
    beginning of one. What has no timestamp is left out."""
    found: list[Frame] = []
    position, end = 0, len(data)
    while end - position >= _HEADER.size:
        kind, size = _HEADER.unpack_from(data, position)
        if end - position - _HEADER.size < size:
            break
        begin = position + _HEADER.size
        position = begin + size
        frame = parse_frame(_STREAMS.get(kind, "stdout"), data[begin:position])
        if frame is not None:
            found.append(frame)
    return found, position


def parse_frame(stream: str, payload: bytes) -> Frame | None:
    """A frame of a log read with timestamps; None when it has no timestamp."""
    stamp, space, data = payload.partition(b" ")
    time_ns = parse_time(stamp.decode("ascii", "replace")) if space else None
    if time_ns is None:
        return None
    if data.endswith(b"\n"):
        return Frame(stream, time_ns, data[:-1], True)
    return Frame(stream, time_ns, data, False)


class Assembler:
    """Joins the frames of split lines, per stream."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Frame]] = {}

    @property
    def pending(self) -> bool:
        """Whether a line has begun that is not complete."""
        return bool(self._parts)

    def add(self, frame: Frame) -> Frame | None:
        """The complete line that ends with this frame, with the time of its beginning."""
        if frame.complete and frame.stream not in self._parts:
            return frame
        parts = self._parts.setdefault(frame.stream, [])
        parts.append(frame)
        if not frame.complete and sum(len(part.data) for part in parts) < LONGEST_LINE:
            return None
        return self._join(frame.stream)

    def rest(self) -> list[Frame]:
        """What is left when the log has ended: lines without an end."""
        return [self._join(stream) for stream in list(self._parts)]

    def _join(self, stream: str) -> Frame:
        parts = self._parts.pop(stream)
        return Frame(stream, parts[0].time_ns, b"".join(part.data for part in parts), complete=True)


class Repeats:
    """Finds the frames that the engine sends a second time: when it rotates a log that somebody follows, Docker may
    read the new file from its beginning again. Such frames come in the order they had, and up to the newest one."""

    def __init__(self) -> None:
        self._marks: deque[int] = deque(maxlen=_MOST_MARKS)
        self._newest = 0
        self._unfinished: set[str] = set()
        # What has to follow if the engine is repeating itself now.
        self._expected: deque[int] = deque()

    def has(self, frame: Frame) -> bool:
        """Whether this is a frame that was seen before; every frame must be shown, in the engine's order."""
        mark = hash(frame)
        if self._expected and self._expected[0] == mark:
            self._expected.popleft()
            return True
        if self._expected:
            self._expected.clear()
        # The pieces of a long line may be alike, down to their time.
        if frame.time_ns <= self._newest and frame.stream not in self._unfinished and mark in self._marks:
            first = self._marks.index(mark)
            self._expected.extend(itertools.islice(self._marks, first + 1, None))
            return True
        self._marks.append(mark)
        self._newest = max(self._newest, frame.time_ns)
        if not frame.complete:
            self._unfinished.add(frame.stream)
        elif self._unfinished:
            self._unfinished.discard(frame.stream)
        return False


class Cursor:
    """Follows a reader and tells the position after what it has read.

    Frames are written by two streams at once, so their times may be slightly out of order. Hence the position starts
    a moment before the newest frame and counts the frames since, instead of naming the last time seen."""

    def __init__(self, start: Position) -> None:
        self._start = start
        self._to_skip = start.skip
        self._since = start.since_ns
        self._newest = start.newest_ns
        self._times: deque[int] = deque()

    def read(self, time_ns: int) -> bool:
        """Count a frame, in the engine's order. False when it is one of those to skip."""
        if time_ns >= self._since:
            self._times.append(time_ns)
            if self._to_skip and time_ns <= self._start.newest_ns:
                self._to_skip -= 1
                return False
        # A frame newer than all that was read before: the engine has rotated the ones to skip away.
        self._to_skip = 0
        self._newest = max(self._newest, time_ns)
        if self._newest - self._since > _REBASE:
            self._rebase(self._newest - _SLACK)
        if len(self._times) > _MOST_REMEMBERED:
            self._rebase(self._newest)
        return True

    def position(self) -> Position:
        """Where a new reader goes on after the frames counted so far."""
        if self._to_skip:
            return self._start
        return Position(self._since, len(self._times), self._newest)

    def _rebase(self, since: int) -> None:
        # Popping from the left would be wrong: a frame before `since` may stand behind one after it.
        self._since = since
        self._times = deque(time_ns for time_ns in self._times if time_ns >= since)
