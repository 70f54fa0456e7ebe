"""A bounded queue of log lines: readers wait when it is full, so memory stays bounded and nothing is dropped."""

import asyncio
from collections import deque
from typing import NamedTuple, Self

from agent.domain.log_frames import Position
from kontena.deploy.v1 import assignment_pb2 as pb

MOST_LINES = 4000
MOST_BYTES = 8 * 1024 * 1024
# Names, ids and the time of a line.
_BESIDE_TEXT = 200


class Line(NamedTuple):
    """A line, where its container's log goes on after it, and roughly the bytes it takes."""

    line: pb.LogLine
    after: Position
    size: int

    @classmethod
    def of(cls, line: pb.LogLine, after: Position) -> Self:
        """With its size."""
        return cls(line, after, len(line.data) + _BESIDE_TEXT)


class LineQueue:
    """First in, first out."""

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._lines)

    async def put(self, line: Line) -> None:
        """Add a line, once there is room."""
        while self._full:
            self._room.clear()
            await self._room.wait()
        self._append(line)

    def offer(self, line: Line) -> bool:
        """Add a line if there is room; whether there was."""
        if self._full:
            return False
        self._append(line)
        return True

    @property
    def _full(self) -> bool:
        return len(self._lines) >= self._most_lines or self._bytes >= self._most_bytes

    def _append(self, line: Line) -> None:
        self._lines.append(line)
        self._bytes += line.size
        self._filled.set()

    def holds(self, lines: int, most_bytes: int) -> bool:
        """Whether `take` with these limits would leave something, or just not."""
        return len(self._lines) >= lines or self._bytes >= most_bytes

    async def filled(self) -> None:
        """Returns when there is at least one line."""
        await self._filled.wait()

    def take(self, most_lines: int, most_bytes: int) -> list[Line]:
        """The oldest lines, as many as fit; at least one if there is any."""
        taken: list[Line] = []
        size = 0
        while self._lines and len(taken) < most_lines and (not taken or size + self._lines[0].size <= most_bytes):
            line = self._lines.popleft()
            size += line.size
            taken.append(line)
        self._bytes -= size
        if not self._lines:
            self._filled.clear()
        self._room.set()
        return taken
