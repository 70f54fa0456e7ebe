"""Python's garbage collector in a process that stays (docs/adr/0124-the-collector-of-a-process-that-stays.md)."""

import gc
import time
from collections.abc import Iterator

from prometheus_client.core import SummaryMetricFamily
from prometheus_client.registry import REGISTRY, Collector

_GENERATIONS = range(3)


def settle() -> None:
    """Call once, when all is imported and before anybody waits for this process: what is there now is never looked at
    again. From now on metrics tell how long the collector stopped everything."""
    gc.collect()
    gc.freeze()
    REGISTRY.register(_Pauses())


class _Pauses(Collector):
    """Adds up by itself: a metric of the library takes a lock, and whoever holds that may be the one who is stopped."""

    def __init__(self) -> None:
        self._began = 0.0
        self._count = [0 for _ in _GENERATIONS]
        self._seconds = [0.0 for _ in _GENERATIONS]
        gc.callbacks.append(self._look)

    def _look(self, phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        generation = about["generation"]
        self._count[generation] += 1
        self._seconds[generation] += time.perf_counter() - self._began

    def collect(self) -> Iterator[SummaryMetricFamily]:
        """How often and how long, by generation."""
        pauses = SummaryMetricFamily(
            "python_gc_pause_seconds",
            "Time in which the garbage collector ran, and nothing else.",
            labels=["generation"],
        )
        for generation in _GENERATIONS:
            pauses.add_metric([str(generation)], self._count[generation], self._seconds[generation])
        yield pauses
