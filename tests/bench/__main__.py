"""`make bench`: ours against Docker Swarm's manager, against the floor, and against the bare API of the engine."""

import argparse
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import report
from tests.bench.cpu import Meter
from tests.bench.measure import CONNECTIONS, Deployer, Row, alternate, deploys
from tests.bench.ours import IMAGE, Floor, Ours, floor, suite
from tests.bench.swarm import Bare, swarm
from tests.support.engine import Engine
from tests.support.suite import REPOSITORY

_LISTED = 100


@dataclass(frozen=True)
class Plan:
    """How much is measured. `works` are rows by name, all without any; `deploys` are numbers of containers."""

    rounds: int = 3
    seconds: float = 2
    connections: Sequence[int] = CONNECTIONS
    sizes: Sequence[int] = (1, 10, _LISTED, 1000)
    works: Collection[str] = ()
    deploys: Sequence[int] = (10, 50)
    rest_seconds: float = 4


def main() -> None:
    """Measure, print, and write docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs", help="folder of benchmarks.md and plots")
    options = parser.parse_args()
    with _place("keng") as engine_folder, Engine(engine_folder) as engine, _place("ksuite") as folder:
        engine.import_busybox(IMAGE)
        with suite(folder, engine.host) as found:
            results = run(Ours(found), engine, Plan(rounds=options.rounds, seconds=options.seconds))
    text = report.markdown(results)
    sys.stdout.write(text)
    (options.out / "benchmarks.md").write_text(text)
    report.plots(results, options.out)


def run(ours: Ours, engine: Engine, plan: Plan) -> report.Results:
    """All measurements of a suite whose node is `engine`."""
    with ExitStack() as stack:
        bottom = stack.enter_context(floor(ours, stack.enter_context(_place("kfloor"))))
        other = stack.enter_context(swarm(stack.enter_context(_place("kswarm"))))
        meter = Meter(ours.processes, plan.rest_seconds)
        listed = {
            count: Row("ours", f"list {count} services", ours.list_of(count), meter, "deploy_svc")
            for count in plan.sizes
        }
        rows = _rows(ours, bottom, meter, plan) + [listed[count] for count in plan.sizes if count == _LISTED]
        works = {row.work for row in rows}
        swarm_meter = Meter(other.processes, plan.rest_seconds)
        rows += [Row("Swarm", work, one, swarm_meter) for work, one in other.rows(_LISTED).items() if work in works]
        writes = [row for row in rows if row.request.method == "POST"]
        # Reads first: what is created makes lists of Swarm longer, which has no grids.
        alternate([row for row in rows if row not in writes], plan.rounds, plan.seconds, plan.connections)
        alternate([listed[count] for count in plan.sizes if count != _LISTED], plan.rounds, plan.seconds, (1,))
        memory = ours.memory()
        alternate(writes, plan.rounds, plan.seconds, plan.connections)
        subjects: dict[str, tuple[Deployer, Engine]] = {
            "ours": (ours, engine),
            "Swarm": (other, other.engine),
            "Engine API, side by side": (Bare(other.engine), other.engine),
        }
        times = {count: deploys(subjects, count, plan.rounds) for count in plan.deploys}
        return report.Results(rows, listed, times, memory, meter.rest, plan.rounds, plan.seconds)


def _rows(ours: Ours, bottom: Floor, meter: Meter, plan: Plan) -> list[Row]:
    rows = [Row("floor", "get a service", bottom.request, Meter(bottom.processes, plan.rest_seconds), "floor")]
    for work, (answers, request) in {**ours.reads(), **ours.writes()}.items():
        if work in plan.works or not plan.works:
            rows.append(Row("ours", work, request, meter, answers))
    return rows


@contextmanager
def _place(prefix: str) -> Iterator[Path]:
    """A short path: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
