"""Lines of container logs: what a node sent, what is stored, and which of the sent ones are stored already."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

# (container id, stream type): lines are in order within it.
LogKey = tuple[str, str]

_HOOK_CONTAINER = re.compile(r"(.+-\d+)-(pre_start)-[0-9a-f]{8}")


class LogLine(NamedTuple):
    """A line as a node sent it: a tuple, as there are many of them, whose members are columns of what is stored
    (`store/container_logs.py`). `service_id` is what the node says; None when the container has no service. `hook` is
    the hook that wrote it, as moment and name."""

    container_id: str
    container_name: str
    service_id: str | None
    instance_number: int | None
    time: datetime
    type: str
    data: str
    hook: str | None = None


# Of a line: what it is in order with.
_KEY: Callable[[LogLine], LogKey] = attrgetter("container_id", "type")


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
        self._looked: dict[LogKey, _Resume] = {}

    def fresh(self, lines: Iterable[LogLine], stored: Mapping[LogKey, LogPosition]) -> list[LogLine]:
        """The lines that are not stored, given the stored positions of their containers. Asked again without `written`,
        it answers the same."""
        found: list[LogLine] = []
        self._looked = {}
        for key, together in groupby(lines, _KEY):
            resume = self._looked.get(key) or self._resumes.get(key)
            if resume is None or resume.position != stored.get(key):
                resume = _Resume(stored.get(key))
            if resume.passed:
                found += together
            else:
                resume = replace(resume)
                found += [line for line in together if not resume.is_stored(line.time)]
            self._looked[key] = resume
        return found

    def written(self, positions: Mapping[LogKey, LogPosition]) -> None:
        """This stream stored what was fresh, up to these positions, and they are committed."""
        self._resumes |= self._looked
        for key, position in positions.items():
            self._resumes[key] = _Resume(position, passed=True)


def named(line: StoredLine) -> StoredLine:
    """The line with the name of its instance. Earlier agents named the temporary container of a hook instead."""
    match = _HOOK_CONTAINER.fullmatch(line.container_name)
    return line if match is None else replace(line, container_name=match[1], hook=line.hook or match[2])


def next_positions(lines: Iterable[LogLine], stored: Mapping[LogKey, LogPosition]) -> dict[LogKey, LogPosition]:
    """The positions after the fresh `lines` are stored."""
    positions: dict[LogKey, LogPosition] = {}
    for key, together in groupby(lines, _KEY):
        group = list(together)
        time = group[-1].time
        last = positions.get(key) or stored.get(key)
        count = next((passed for passed, line in enumerate(reversed(group)) if line.time != time), len(group))
        if count == len(group) and last is not None and last.time == time:
            count += last.lines
        positions[key] = LogPosition(time, count)
    return positions
