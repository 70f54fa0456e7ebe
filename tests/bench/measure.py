"""What is measured: rounds over all rows in turn, so that what else the machine does meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.bench.cpu import Meter
from tests.bench.wrk import Load, Request, load
from tests.support.engine import Engine

CONNECTIONS = (1, 16)


@dataclass
class Row:
    """One request to one subject, and what came of it by number of connections. `answers` is the part of the subject
    that answers, `send` makes the load."""

    subject: str
    work: str
    request: Request
    meter: Meter
    answers: str = ""
    send: Callable[[Request, int, float], Load] = load
    loads: dict[int, list[Load]] = field(default_factory=dict)
    cpu: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    def run(self, connections: int, seconds: float) -> None:
        """One measurement more."""
        stop = self.meter.start()
        found = self.send(self.request, connections, seconds)
        used = {part: 1000 * spent / found.requests for part, spent in stop().items()}
        self.loads.setdefault(connections, []).append(found)
        self.cpu.setdefault(connections, []).append(used)

    def rate(self, connections: int) -> float:
        """Median of answers per second."""
        return statistics.median(found.rate for found in self.loads[connections])

    def spread(self, connections: int) -> float:
        """Half the distance of the best and the worst round, as a share of the median."""
        rates = [found.rate for found in self.loads[connections]]
        return (max(rates) - min(rates)) / 2 / statistics.median(rates)

    def latency(self, connections: int) -> tuple[float, float]:
        """Medians of p50 and p99 in milliseconds."""
        loads = self.loads[connections]
        return statistics.median(one.p50 for one in loads), statistics.median(one.p99 for one in loads)

    def cost(self, part: str = "", connections: int = CONNECTIONS[-1]) -> float:
        """Median of the CPU milliseconds per request of a part, or of all."""
        return statistics.median(
            sum(used.values()) if not part else used.get(part, 0.0) for used in self.cpu[connections]
        )


def alternate(rows: Sequence[Row], rounds: int, seconds: float, connections: Sequence[int] = CONNECTIONS) -> None:
    """Measure all rows, each once per round."""
    for row in rows:
        row.send(row.request, 1, 1)  # Whatever is slow the first time only.
    for _ in range(rounds):
        for row in rows:
            for count in connections:
                row.run(count, seconds)


class Deployer(Protocol):
    """Something that runs containers."""

    def deploy(self, name: str, instances: int) -> None: ...

    def remove(self, name: str) -> None: ...


def deploys(subjects: Mapping[str, tuple[Deployer, Engine]], instances: int, rounds: int) -> dict[str, list[float]]:
    """Seconds from the first request until all containers run, as the engine says, by subject."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name, (subject, engine) in subjects.items():
            before = len(_running(engine))
            began = time.perf_counter()
            subject.deploy(f"d{instances}-{number}", instances)
            _until(lambda count=before + instances, on=engine: len(_running(on)) >= count)
            found[name].append(time.perf_counter() - began)
            subject.remove(f"d{instances}-{number}")
            _until(lambda count=before, on=engine: len(_running(on)) <= count)
    return found


def _running(engine: Engine) -> list[object]:
    listed: list[object] = engine.request("GET", "/containers/json")
    return listed


def _until(fact: Callable[[], bool], within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, f"not within {within} s"
        # A list of fifty containers is work for the engine, which it takes from what is measured.
        time.sleep(0.05)
