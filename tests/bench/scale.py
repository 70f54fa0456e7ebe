"""`make bench-scale`: many hollow nodes with real streams, many instances on them, changes, and a control plane that
restarts. Writes benchmarks-scale.md and its plot."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg

from tests.bench import goals
from tests.bench.changes import Changes, keep_changing
from tests.bench.cpu import Meter
from tests.bench.curve import Curve, Sampler
from tests.bench.hollow import hollow_nodes
from tests.bench.ours import Ours, suite
from tests.bench.report import machine, table
from tests.bench.sections import Sections
from tests.support.suite import REPOSITORY

_GRID = "crowd"
_RESTARTED = ("grid_svc", "deploy_svc", "engine", "gateway")
# What agents write down: each node has a disk of its own, these share one with the database.
_MEMORY = Path("/dev/shm")  # noqa: S108 -- the folder in it is for this run only.


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    nodes: int = 1000
    services: int = 100
    instances: int = 100
    per_second: int = 20
    change_seconds: float = 120
    rest_seconds: float = 20

    @property
    def total(self) -> int:
        """Instances of all services."""
        return self.services * self.instances


SHORT = Plan(nodes=20, services=5, instances=8, per_second=5, change_seconds=5, rest_seconds=2)


@dataclass
class Scaled:
    """What one run found; what failed is empty. Seconds, cores and MiB."""

    plan: Plan
    sections: Sections = field(default_factory=Sections)
    load: float = field(default_factory=lambda: os.getloadavg()[2])
    joined: float = 0.0
    curve: Curve | None = None
    engine_cpu: float = 0.0
    rest: dict[str, float] = field(default_factory=dict)
    changes: Changes | None = None
    back: float = 0.0
    touched: int = 0
    memory: dict[str, dict[str, float]] = field(default_factory=dict)


def main() -> None:
    """Measure, print and write. Ends with an error when any part failed; what the others found is written all the
    same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--short", action="store_true", help="little of everything, to see whether it runs")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs", help="folder of the page and its plot")
    parser.add_argument("--change-seconds", type=float, help="for how long changes keep coming")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    plan = SHORT if options.short else Plan()
    found = Scaled(replace(plan, change_seconds=options.change_seconds or plan.change_seconds))
    with (
        tempfile.TemporaryDirectory(prefix="kscale") as folder,
        tempfile.TemporaryDirectory(prefix="khol", dir=_MEMORY if _MEMORY.is_dir() else None) as nodes,
        # No node needs an engine, and all connections come from one address.
        suite(
            Path(folder), "unix:///nowhere", KONTENA_RUNTIME="hollow", GATEWAY_CONNECTIONS_PER_ADDRESS_RATE="0"
        ) as running,
    ):
        run(Ours(running), found, Path(nodes))
    text = markdown(found)
    sys.stdout.write(text)
    (options.out / "benchmarks-scale.md").write_text(text)
    if found.curve:
        found.curve.plot(options.out / "benchmarks-scale.png")
    if found.sections.failed:
        sys.exit(f"FAILED: {', '.join(found.sections.failed)}")


def run(ours: Ours, found: Scaled, folder: Path) -> None:
    """All of it, one part after the other; each needs those before."""
    plan, part = found.plan, found.sections.part
    found.memory["no nodes"] = ours.memory()
    with ExitStack() as stack:
        with part("joining"):
            began = time.monotonic()
            stack.enter_context(hollow_nodes(ours, _GRID, plan.nodes, folder))
            found.joined = time.monotonic() - began
        if found.sections.failed:
            return
        found.memory[f"{plan.nodes:,} nodes"] = ours.memory()
        with part("instances"):
            used = Meter(ours.processes, 1).start()
            found.curve = _fill(ours, plan)
            found.engine_cpu = used()["engine"]
        found.memory[f"{plan.total:,} instances"] = ours.memory()
        with part("rest"):
            time.sleep(plan.rest_seconds / 4)
            found.rest = Meter(ours.processes, plan.rest_seconds).rest
        with part("changes"):
            found.changes = keep_changing(ours, _names(plan), plan.per_second, plan.change_seconds)
        with part("restart"):
            found.back, found.touched = asyncio.run(_restart(ours, plan))


def _names(plan: Plan) -> list[str]:
    return [f"{_GRID}/null/s-{number}" for number in range(plan.services)]


def _fill(ours: Ours, plan: Plan) -> Curve:
    """Create and deploy all services, while somebody reads one of them."""
    call = ours.api.call
    call("POST", f"/v1/grids/{_GRID}/services", {"name": "read", "image": "bench:1", "stateful": False}, status=201)
    with Sampler(ours, f"/v1/services/{_GRID}/null/read", plan.total) as sampler:
        for name in _names(plan):
            body = {"name": name.rpartition("/")[2], "image": "bench:1", "stateful": False}
            body |= {"instances": plan.instances, "deploy_opts": {"parallelism": 100, "min_health": 0}}
            call("POST", f"/v1/grids/{_GRID}/services", body, status=201)
            call("POST", f"/v1/services/{name}/deploy", {})
            sampler.requested += plan.instances
        return sampler.finish(within=420)


async def _restart(ours: Ours, plan: Plan) -> tuple[float, int]:
    """Restart what nodes and clients talk to; seconds until each node has a new session, and how many instances
    have another container than before."""
    database = await asyncpg.connect(ours.suite.database_url)
    try:
        before = await database.fetchval("select sum(session) from grid.nodes where connected")
        containers = await _containers(database)
        began = time.monotonic()
        for name in _RESTARTED:
            for pid in ours.suite.pids(name):
                os.kill(pid, signal.SIGTERM)
        query = (
            "select count(*), sum(session) from grid.nodes where connected and last_seen_at > now() - interval '15 s'"
        )
        while True:
            count, sessions = await database.fetchrow(query)
            if count >= plan.nodes and sessions >= before + plan.nodes:
                break
            if time.monotonic() - began > 180:
                raise RuntimeError(f"{count} of {plan.nodes} nodes are back after 180 s")
            await asyncio.sleep(0.2)
        back = time.monotonic() - began
        await asyncio.sleep(5)
        after = await _containers(database)
        return back, sum(after.get(key) != value for key, value in containers.items())
    finally:
        await database.close()


async def _containers(database: asyncpg.Connection) -> dict[str, tuple[str, object]]:
    rows = await database.fetch("select id, container_id, container_started_at from deploy.instances")
    return {row[0]: (row[1], row[2]) for row in rows}


def all_goals(found: Scaled) -> Iterator[goals.Goal]:
    """Those of what was measured."""
    plan = found.plan
    yield goals.Goal(f"{plan.nodes:,} nodes join", "", f"{found.joined:.0f} s", "", met=found.joined > 0)
    if curve := found.curve:
        work = f"{plan.total:,} instances on {plan.nodes:,} nodes"
        shown = f"{curve.seconds:.0f} s, {curve.confirmed[-1]:,} confirmed"
        met = curve.complete and curve.seconds <= 60
        yield goals.Goal(work, "all confirmed in 60 s", shown, "", met)
        p99 = f"p50 {curve.p50:.0f}, p99 {curve.p99:.0f} ms"
        yield goals.Goal("reading a service meanwhile", "p99 below 250 ms", p99, "", curve.p99 < 250)
        each = 1000 * found.engine_cpu / plan.total
        yield goals.Goal("engine, CPU per instance", "decision below 1 ms", f"{each:.2f} ms in all", "", each < 1)
    if found.rest:
        cores = sum(found.rest.values())
        yield goals.Goal("control plane at rest", "below 0.25 cores", f"{cores:.2f} cores", "", cores < 0.25)
    if changes := found.changes:
        work = f"{changes.rate:.1f} changes per second for {plan.change_seconds:.0f} s"
        yield goals.Goal(work, "API p99 below 1 s", f"{changes.api_p99:.2f} s", "", changes.api_p99 < 1)
        ended = f"{changes.start_p99:.2f} s ({changes.ended} of {changes.asked} ended well)"
        met = changes.start_p99 < 5 and changes.ended == changes.asked
        yield goals.Goal(work, "start p99 below 5 s", ended, "", met)
    if found.back:
        work = f"restart of {', '.join(_RESTARTED)}"
        yield goals.Goal(work, "all sessions back in 30 s", f"{found.back:.0f} s", "", found.back <= 30)
        yield goals.Goal(work, "no instance touched", f"{found.touched} touched", "", found.touched == 0)


def markdown(found: Scaled) -> str:
    """The whole page."""
    heads = list(found.memory)
    memory = [[name, *(f"{found.memory[head].get(name, 0):.0f}" for head in heads)] for name in found.memory[heads[0]]]
    memory.append(["sum", *(f"{sum(found.memory[head].values()):.0f}" for head in heads)])
    parts = [
        "# Benchmarks of many nodes",
        "Written by `make bench-scale` (`tests/bench/scale.py`): hollow nodes, which are whole agents with real "
        "streams and pretended containers, run beside the suite on one machine. Most of the machine is theirs.",
        "\n".join([*machine(found.load), *found.sections.lines()]),
        "## Goals\n" + table([goals.HEAD, *(goal.cells for goal in all_goals(found))]),
    ]
    if found.curve:
        parts.append("![Requested, assigned, confirmed](benchmarks-scale.png)")
    if found.rest:
        parts.append("## Cores at rest\n" + table([list(found.rest), [f"{used:.3f}" for used in found.rest.values()]]))
    parts.append("## Memory in MiB (shares of what is shared)\n" + table([["part", *heads], *memory]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
