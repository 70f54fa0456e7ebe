"""What memory each process of the running suite takes, and how that changes."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tests.support.background import Background
from tests.support.mortality import VICTIMS, pids
from tests.support.suite import Suite

EVERY = 2.0
MIB = 1024 * 1024


@dataclass
class Course:
    """Seconds and bytes, in the order of time."""

    points: list[tuple[float, int]] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """Bytes per second: the line with the least squares, without the first third, in which caches fill."""
        settled = self.points[len(self.points) // 3 :]
        count = len(settled)
        if count < 2:
            return 0.0
        middle = sum(at for at, _ in settled) / count
        mean = sum(size for _, size in settled) / count
        spread = sum((at - middle) ** 2 for at, _ in settled)
        return sum((at - middle) * (size - mean) for at, size in settled) / spread

    def __str__(self) -> str:
        last = self.points[-1][1] / MIB if self.points else 0.0
        return f"{last:6.1f} MiB, {self.slope * 60 / MIB:+.2f} MiB/min over {len(self.points) * EVERY:.0f} s"


class Memory(Background):
    """`with Memory(suite) as memory:` looks until the block ends, at processes that nobody replaces meanwhile. Files
    that they map do not count: they weigh more from when the last process of another suite with the same ones ends."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(self._run, patience=30)
        self._processes = {name: [psutil.Process(pid) for pid in pids(suite, name)] for name in VICTIMS}
        self.courses = {name: Course() for name in VICTIMS}

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(EVERY):
            for name, found in self._processes.items():
                # Who ended all the same has no course from then on.
                with suppress(psutil.NoSuchProcess):
                    size = sum(_size(process) for process in found)
                    self.courses[name].points.append((time.monotonic() - begun, size))


def _size(process: psutil.Process) -> int:
    """Bytes of a process that are of no file."""
    return sum(part.anonymous for part in process.memory_maps(grouped=True))
