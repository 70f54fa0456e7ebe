"""How many instances were requested, assigned and confirmed over time, and how long a reader waited meanwhile."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import httpx

from tests.bench.ours import Ours

_QUERY = """select count(*) filter (where node_id is not null), count(*) filter (where state = 'running')
from deploy.instances"""


@dataclass
class Curve:
    """Instances by time in seconds; `p50` and `p99` milliseconds of the reader."""

    wanted: int
    times: list[float] = field(default_factory=list)
    requested: list[int] = field(default_factory=list)
    assigned: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    p50: float = 0.0
    p99: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all were confirmed."""
        return bool(self.confirmed) and self.confirmed[-1] >= self.wanted

    @property
    def seconds(self) -> float:
        """When the last sample was taken: that with the last instance, when all were confirmed."""
        return self.times[-1]

    def plot(self, path: Path) -> None:
        """A PNG."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 -- a second that whoever wants no plots need not wait.

        figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
        for name in ("requested", "assigned", "confirmed"):
            axes.plot(self.times, getattr(self, name), label=name)
        axes.set(xlabel="seconds", ylabel="instances", title="From request to running")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        figure.savefig(path, dpi=100)


class Sampler:
    """Looks while the block runs; `requested` is the caller's."""

    def __init__(self, ours: Ours, path: str, wanted: int) -> None:
        self.requested = 0
        self._ours = ours
        self._path = path
        self._curve = Curve(wanted)
        self._waits: list[float] = []
        self._stop = threading.Event()
        self._failed: list[Exception] = []
        self._threads = [threading.Thread(target=self._guard, args=(work,)) for work in (self._look, self._read)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    def finish(self, within: float) -> Curve:
        """Wait until all are confirmed, or for so many seconds."""
        deadline = time.monotonic() + within
        while not self._curve.complete and not self._failed and time.monotonic() < deadline:
            time.sleep(0.1)
        self._end()
        for error in self._failed:
            raise error
        waits = sorted(self._waits)
        self._curve.p50, self._curve.p99 = (1000 * waits[int(len(waits) * share)] for share in (0.5, 0.99))
        return self._curve

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed.append(error)

    def _look(self) -> None:
        asyncio.run(self._sample())

    async def _sample(self) -> None:
        database = await asyncpg.connect(self._ours.suite.database_url)
        began, curve = time.monotonic(), self._curve
        # The service that is read has none, but the installation may have others.
        others = await database.fetchrow(_QUERY)
        while not self._stop.is_set() and not curve.complete:
            row = await database.fetchrow(_QUERY)
            curve.times.append(time.monotonic() - began)
            curve.requested.append(self.requested)
            curve.assigned.append(row[0] - others[0])
            curve.confirmed.append(row[1] - others[1])
            await asyncio.sleep(0.5)
        await database.close()

    def _read(self) -> None:
        headers = {"Authorization": f"Bearer {self._ours.api.token}"}
        with httpx.Client(base_url=self._ours.api.url, headers=headers, timeout=60) as client:
            while not self._stop.wait(0.02):
                began = time.perf_counter()
                client.get(self._path).raise_for_status()
                self._waits.append(time.perf_counter() - began)
