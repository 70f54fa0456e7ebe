"""CPU time by part of what is measured. It says what a request costs also where other work slows everything down."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import psutil

# Process ids by part, asked for each time: processes come and go.
Parts = Callable[[], Mapping[str, Iterable[int]]]


class Meter:
    """CPU seconds of the parts beyond what they use while nothing is asked of them."""

    def __init__(self, parts: Parts, rest_seconds: float) -> None:
        self._parts = parts
        self._rest: dict[str, float] = {}
        before, began = self._read(), time.monotonic()
        time.sleep(rest_seconds)
        self._rest = {name: used / (time.monotonic() - began) for name, used in self._since(before).items()}

    @property
    def rest(self) -> dict[str, float]:
        """Cores that each part uses at rest."""
        return dict(self._rest)

    def start(self) -> Callable[[], dict[str, float]]:
        """Begin; what is returned gives seconds per part since now."""
        before, began = self._read(), time.monotonic()

        def stop() -> dict[str, float]:
            passed = time.monotonic() - began
            return {name: max(0.0, used - self._rest[name] * passed) for name, used in self._since(before).items()}

        return stop

    def _since(self, before: Mapping[str, float]) -> dict[str, float]:
        return {name: seconds - before[name] for name, seconds in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: sum(map(_seconds, pids)) for name, pids in self._parts().items()}


def family(*pids: int) -> list[int]:
    """The processes and all their descendants."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [pid, *(child.pid for child in process.children(recursive=True))]
    return found


def _seconds(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        times = psutil.Process(pid).cpu_times()
        # Children that ended count as well: shims of containers, processes of Postgres.
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
