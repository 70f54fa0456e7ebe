"""Lines of container logs: what a node sent, what is stored, and which of the sent ones are stored already."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

# (container id, stream type): lines are in order within it.
LogKey = tuple[str, str]

_HOOK_CONTAINER = re.compile(r"(.+-\d+)-(pre_start)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as a node sent it. `service_id` is what the node says; None when the container has no service. `hook` is
    the hook that wrote it, as moment and name."""

    container_id: str
    container_name: str
    service_id: str | None
    instance_number: int | None
    time: datetime
    type: str
    data: str
    hook: str | None = None

    @property
    def key(self) -> LogKey:
        """What the line is in order with."""
        return (self.container_id, self.type)


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The last stored line of a container: its time, and how many lines with exactly this time are stored."""

    time: datetime
    lines: int


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line as it is read. `service` is (stack, name), None when there is no such service any more."""

    id: int
    container_id: str
    container_name: str
    node_id: str
    node: str
    time: datetime
    type: str
    data: str
    service: tuple[str, str] | None = None
    hook: str | None = None


@dataclass(slots=True)
class _Resume:
    """Where a container is within lines that are sent again."""

    position: LogPosition | None
    skipped: int = 0
    passed: bool = field(default=False)

    def is_stored(self, time: datetime) -> bool:
        position = self.position
        if self.passed or position is None or time > position.time:
            self.passed = True
            return False
        if time == position.time:
            self.skipped += 1
            self.passed = self.skipped > position.lines
            return not self.passed
        return True


class LogResume:
    """Finds lines that were stored before, for one stream of a node.

    A node that was cut off sends again from some line it knows. Such lines are older than the stored position, or are
    the first ones at its very time. Once the position is passed, everything on the stream is new, whatever the clock
    of the node does, for as long as nobody else writes the position.
    """

    def __init__(self) -> None:
        self._resumes: dict[LogKey, _Resume] = {}

    def fresh(self, lines: Iterable[LogLine], stored: Mapping[LogKey, LogPosition]) -> list[LogLine]:
        """The lines that are not stored, given the stored positions of their containers."""
        found = []
        for line in lines:
            resume = self._resumes.get(line.key)
            if resume is None or resume.position != stored.get(line.key):
                resume = self._resumes[line.key] = _Resume(stored.get(line.key))
            if not resume.is_stored(line.time):
                found.append(line)
        return found

    def written(self, positions: Mapping[LogKey, LogPosition]) -> None:
        """This stream stored lines up to these positions, and they are committed."""
        for key, position in positions.items():
            self._resumes[key] = _Resume(position, passed=True)


def named(line: StoredLine) -> StoredLine:
    """The line with the name of its instance. Earlier agents named the temporary container of a hook instead."""
    match = _HOOK_CONTAINER.fullmatch(line.container_name)
    return line if match is None else replace(line, container_name=match[1], hook=line.hook or match[2])


def next_positions(lines: Iterable[LogLine], stored: Mapping[LogKey, LogPosition]) -> dict[LogKey, LogPosition]:
    """The positions after the fresh `lines` are stored."""
    positions: dict[LogKey, LogPosition] = {}
    for line in lines:
        last = positions.get(line.key) or stored.get(line.key)
        count = last.lines + 1 if last is not None and last.time == line.time else 1
        positions[line.key] = LogPosition(line.time, count)
    return positions
