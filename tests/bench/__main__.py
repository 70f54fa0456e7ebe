"""`make bench`: ours against Docker Swarm's manager, against the floor, and against the bare API of the engine."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.bench import report
from tests.bench.commands import commands
from tests.bench.cpu import Meter
from tests.bench.loglines import log_lines
from tests.bench.measure import CONNECTIONS, Deployer, Row, alternate, deploys
from tests.bench.ours import IMAGE, Ours, suite
from tests.bench.replicas import replicas
from tests.bench.rolling import rolling
from tests.bench.stacks import stack as wide_stack
from tests.bench.stand import Floor, floor
from tests.bench.swarm import Bare, Swarm, swarm
from tests.support.engine import Engine
from tests.support.suite import REPOSITORY

_LISTED = 100
# As much as a container may write in the long run.
_LINES_PER_SECOND = 1000
PARTS = ("requests", "deploys", "commands", "rolling", "logs", "replicas", "stack")
_SCALED = ("get a token", "get a grid", "get a service", "create a service", "get a secret")
# Of each command line per round: a process takes a moment only.
_CALLS = 5


@dataclass(frozen=True)
class Plan:
    """How much is measured. `works` are rows by name, all without any; `deploys` are numbers of containers. `only` are
    parts by name, all without any."""

    rounds: int = 3
    seconds: float = 2
    connections: Sequence[int] = CONNECTIONS
    sizes: Sequence[int] = (1, 10, _LISTED, 1000)
    works: Collection[str] = ()
    only: Collection[str] = ()
    deploys: Sequence[int] = (10, 50)
    rest_seconds: float = 4
    stack: int = 300
    stack_nodes: int = 50
    rolling: int = 10
    followers: int = 100
    log_seconds: float = 5


# Whether everything runs, on a machine that is not quiet.
SHORT = Plan(
    rounds=1,
    seconds=1,
    sizes=(1, _LISTED),
    deploys=(2,),
    rest_seconds=1,
    stack=10,
    stack_nodes=5,
    rolling=3,
    followers=5,
)


def main() -> None:
    """Measure, print, and write benchmarks.md with its plots. Ends with an error when any part failed; what the others
    found is written all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--short", action="store_true", help="little of everything, to see whether it runs")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs", help="folder of benchmarks.md and plots")
    parser.add_argument("--only", nargs="+", default=(), help="parts: " + ", ".join(PARTS), choices=PARTS)
    options = parser.parse_args()
    plan = SHORT if options.short else Plan()
    plan = replace(
        plan, rounds=options.rounds or plan.rounds, seconds=options.seconds or plan.seconds, only=options.only
    )
    options.out.mkdir(parents=True, exist_ok=True)
    with _place("keng") as engine_folder, Engine(engine_folder) as engine, _place("ksuite") as folder:
        engine.import_busybox(IMAGE)
        with suite(folder, engine.host) as found:
            results = run(Ours(found), engine, plan)
            # Before anything ends, which may fail: minutes were spent on it.
            text = report.markdown(results)
            sys.stdout.write(text)
            (options.out / "benchmarks.md").write_text(text)
            report.plots(results, options.out)
    if results.sections.failed:
        sys.exit(f"FAILED: {', '.join(results.sections.failed)}")


def run(ours: Ours, engine: Engine, plan: Plan) -> report.Results:
    """All measurements of a suite whose node is `engine`."""
    found = report.Results(plan.rounds, plan.seconds)
    part = found.sections.part
    with ExitStack() as stack:
        found.memory = ours.memory()
        bottom = stack.enter_context(floor(ours, stack.enter_context(_place("kfloor"))))
        other = stack.enter_context(_fresh_swarm())
        meter = Meter(ours.processes, plan.rest_seconds)
        found.rest = meter.rest
        subjects: dict[str, tuple[Deployer, Engine]] = {
            "ours": (ours, engine),
            "Swarm": (other, other.engine),
            "Engine API, side by side": (Bare(other.engine), other.engine),
            # As ours are: on the default bridge the engine has less to do.
            "Engine API, on a network": (Bare(other.engine, "bench"), other.engine),
        }

        def measure_requests() -> None:
            # Thousands of services are made here, which a manager goes on working for.
            with _fresh_swarm() as asked:
                _requests(found, ours, bottom, asked, meter, plan)

        def measure_deploys() -> None:
            for count in plan.deploys:
                # Ten minutes for all: the larger number has fewer rounds.
                found.deploys[count] = deploys(subjects, count, max(1, plan.rounds - (count > 10)))

        def measure_commands() -> None:
            found.commands = commands(ours.api, _CALLS * plan.rounds)

        def measure_rolling() -> None:
            found.rolled = rolling(ours, engine, other, plan.rolling)

        def measure_logs() -> None:
            found.logs = log_lines(ours, meter, plan.followers, _LINES_PER_SECOND, plan.log_seconds)

        def measure_stack() -> None:
            folder = stack.enter_context(_place("khollow"))
            found.stack = wide_stack(ours, plan.stack, plan.stack_nodes, folder)

        works: tuple[Callable[[], None], ...] = (
            measure_requests,
            measure_deploys,
            measure_commands,
            measure_rolling,
            measure_logs,
            partial(_replicas, found, ours, plan),
            measure_stack,
        )
        for name, work in zip(PARTS, works, strict=True):
            if name in plan.only or not plan.only:
                with part(name):
                    work()
    return found


def _requests(found: report.Results, ours: Ours, bottom: Floor, other: Swarm, meter: Meter, plan: Plan) -> None:
    sizes = {
        count: Row("ours", f"list {count} services", ours.list_of(count), meter, "deploy_svc") for count in plan.sizes
    }
    rows = _rows(ours, bottom, meter, plan) + [sizes[count] for count in plan.sizes if count == _LISTED]
    works = {row.work for row in rows}
    swarm_meter = Meter(other.processes, plan.rest_seconds)
    rows += [Row("Swarm", work, one, swarm_meter) for work, one in other.rows(_LISTED).items() if work in works]
    writes = [row for row in rows if row.request.method == "POST"]
    # Reads first: what is created makes lists of Swarm longer, which has no grids.
    alternate([row for row in rows if row not in writes], plan.rounds, plan.seconds, plan.connections)
    alternate([sizes[count] for count in plan.sizes if count != _LISTED], plan.rounds, plan.seconds, (1,))
    found.memory_filled, found.filled_with = ours.memory(), sum(plan.sizes)
    alternate(writes, plan.rounds, plan.seconds, plan.connections)
    found.rows, found.sizes = rows, sizes


def _rows(ours: Ours, bottom: Floor, meter: Meter, plan: Plan) -> list[Row]:
    rows = [Row("floor", "get a service", bottom.request, Meter(bottom.processes, plan.rest_seconds), "floor")]
    for work, (answers, request) in {**ours.reads(), **ours.writes()}.items():
        if work in plan.works or not plan.works:
            rows.append(Row("ours", work, request, meter, answers))
    return rows


def _replicas(found: report.Results, ours: Ours, plan: Plan) -> None:
    works = [work for work in _SCALED if work in plan.works or not plan.works]
    found.replicas = replicas(ours, works, plan.rounds, plan.seconds)


@contextmanager
def _fresh_swarm() -> Iterator[Swarm]:
    with _place("kswarm") as folder, swarm(folder) as found:
        yield found


@contextmanager
def _place(prefix: str) -> Iterator[Path]:
    """A short path: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
