"""Kills processes of the running suite at random, from a seed, without time for good-byes."""

import os
import random
import signal
import time
from contextlib import suppress

from tests.support.background import Background
from tests.support.suite import PROCESSES, Suite

VICTIMS = (*PROCESSES, "postgres")
# In seconds; the shortest is less than a service needs to come back, so that several are away at once.
PAUSES = (1.0, 6.0)


def pids(suite: Suite, name: str) -> list[int]:
    """As `suite.pids`, Postgres itself included."""
    if name != "postgres":
        return suite.pids(name)
    with suppress(OSError, ValueError, IndexError):
        return [int((suite.var / "postgres" / "postmaster.pid").read_text().splitlines()[0])]
    return []


class Mortality(Background):
    """`with Mortality(suite, seed) as died:` kills until the block ends; `died.log` says whom and when."""

    def __init__(self, suite: Suite, seed: int) -> None:
        self._suite = suite
        self._random = random.Random(seed)
        super().__init__(self._run, patience=60)
        self.log: list[tuple[float, str]] = []

    def __str__(self) -> str:
        return ", ".join(f"{seconds:.1f} s {name}" for seconds, name in self.log)

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(self._random.uniform(*PAUSES)):
            name = self._random.choice(VICTIMS)
            for pid in pids(self._suite, name):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.log.append((time.monotonic() - begun, name))
