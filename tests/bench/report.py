"""The table, docs/benchmarks.md and its plots."""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import goals
from tests.bench.commands import Command
from tests.bench.loglines import LogTimes
from tests.bench.measure import CONNECTIONS, Row
from tests.bench.replicas import Scaled
from tests.bench.rolling import Rolled
from tests.bench.sections import Sections
from tests.bench.stacks import StackTimes
from tests.support.suite import REPOSITORY

_ONE, _MANY = CONNECTIONS


@dataclass
class Results:
    """Everything that one run found; `sizes` are rows of lists by number of items, `memory` MiB and `rest` cores by
    part of the suite. What failed or was left out is empty."""

    rounds: int
    seconds: float
    sections: Sections = field(default_factory=Sections)
    load: float = field(default_factory=lambda: os.getloadavg()[2])
    rows: Sequence[Row] = ()
    sizes: Mapping[int, Row] = field(default_factory=dict)
    deploys: dict[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    rolled: Rolled | None = None
    logs: LogTimes | None = None
    stack: StackTimes | None = None
    memory: Mapping[str, float] = field(default_factory=dict)
    memory_filled: Mapping[str, float] = field(default_factory=dict)
    filled_with: int = 0
    rest: Mapping[str, float] = field(default_factory=dict)
    commands: Sequence[Command] = ()
    replicas: Sequence[Scaled] = ()


def markdown(found: Results) -> str:
    """The whole page."""
    parts = [
        "# Benchmarks",
        "Written by `make bench` (`tests/bench/`), which runs everything on one machine and in turn. *Floor* is the "
        "same route through the same gateway and interceptors, answered with a message that is ready. CPU is that of "
        "all processes that take part, beyond what they use at rest, per request at "
        f"{_MANY} connections; it says most where other work slows the machine down. "
        "What 1,000 nodes take: `make bench-scale`, [benchmarks-scale.md](benchmarks-scale.md).",
        _machine(found),
        "## Goals\n" + table([goals.HEAD, *(goal.cells for goal in all_goals(found))]),
    ]
    if found.rows:
        parts += [
            "## Requests\n" + table(_requests(found.rows)),
            "## CPU per request of the suite, in milliseconds\n" + table(_costs(found.rows)),
            "![CPU per request by part](benchmarks-cpu.png)",
        ]
    if found.sizes:
        parts.append(
            "## Lists by size\n" + table(_sizes(found.sizes)) + "\n\n![CPU of a list by its size](benchmarks-lists.png)"
        )
    if found.deploys:
        parts.append(
            "## Deploys\nSeconds from the first request until all containers run: median (best to worst).\n"
            + table(_deploys(found.deploys))
        )
    if found.commands:
        parts.append(
            "## Command line\nMilliseconds of a process from its start to its end: median (best to worst).\n"
            + table(_commands(found.commands))
        )
    if found.logs:
        parts.append(
            "## Log lines\nSeconds of CPU per million lines stored, and cores while "
            f"{found.logs.followers} follow {found.logs.lines_per_second:,} lines per second.\n"
            + table(_log_costs(found.logs))
        )
    parts.append("## At rest\n" + table(_at_rest(found)))
    return "\n\n".join(parts) + "\n"


def all_goals(found: Results) -> Iterator[goals.Goal]:
    """Those of what was measured."""
    if found.rows:
        yield from goals.requests(found.rows)
    yield from goals.lists(found.sizes)
    yield from goals.deploys(found.deploys)
    if found.stack:
        yield from goals.stack(found.stack)
    if found.rolled:
        yield from goals.rolled(found.rolled)
    if found.logs:
        yield from goals.logs(found.logs)
    yield from goals.replicas(found.replicas)
    yield from goals.memory(found.memory)


def _machine(found: Results) -> str:
    rounds = f"median of {found.rounds}, {found.seconds:g} s per row, number of connections and round"
    return "\n".join([*machine(found.load), f"- rounds: {rounds}", *found.sections.lines()])


def machine(load: float) -> list[str]:
    """Facts for the head of a page."""
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h of %cs"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.strip()
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    facts = {
        "commit": commit,
        "processor": f"{os.cpu_count()} x {model[0].partition(':')[2].strip() if model else platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load when it began": f"{load:.1f} (mean of 15 minutes)",
    }
    return [f"- {name}: {value}" for name, value in facts.items()]


def _requests(rows: Sequence[Row]) -> list[list[str]]:
    head = ["work", "subject", f"per s, {_ONE}", f"per s, {_MANY}", "spread", f"p50 ms, {_MANY}", f"p99 ms, {_MANY}"]
    table = [[*head, "CPU ms", "of Swarm", "of floor's rate", "of floor's CPU"]]
    swarm = {row.work: row for row in rows if row.subject == "Swarm"}
    [floor] = [row for row in rows if row.subject == "floor"]
    for row in sorted(rows, key=lambda row: row.work):
        p50, p99 = row.latency(_MANY)
        shown = [f"{row.rate(_ONE):,.0f}", f"{row.rate(_MANY):,.0f}", f"{row.spread(_MANY):.0%}", f"{p50:.1f}"]
        shown += [f"{p99:.1f}", f"{row.cost():.2f}"]
        ratios = ["", "", ""]
        if row.subject == "ours":
            other = swarm.get(row.work)
            ratios = [f"{row.rate(_MANY) / other.rate(_MANY):.2f}" if other else ""]
            ratios += [f"{row.rate(_MANY) / floor.rate(_MANY):.2f}", f"{row.cost() / floor.cost():.2f}"]
        table.append([row.work, row.subject, *shown, *ratios])
    return table


def _costs(rows: Sequence[Row]) -> list[list[str]]:
    table = [["work", "gateway", "service", "other services", "Postgres", "sum"]]
    for row in rows:
        if row.subject == "Swarm":
            continue
        main = row.cost(row.answers)
        known = row.cost("gateway"), main, row.cost("Postgres")
        rest = max(0.0, row.cost() - sum(known))
        shown = (known[0], main, rest, known[2], row.cost())
        table.append([f"{row.work} ({row.subject})", *(f"{value:.2f}" for value in shown)])
    return table


def _deploys(found: Mapping[int, Mapping[str, Sequence[float]]]) -> list[list[str]]:
    names = next(iter(found.values())).keys() if found else ()
    table = [["containers", *names]]
    for count, times in found.items():
        shown = [f"{statistics.median(s):.2f} ({min(s):.2f} to {max(s):.2f})" for s in times.values()]
        table.append([str(count), *shown])
    return table


def _commands(found: Sequence[Command]) -> list[list[str]]:
    rows = [["command", "time", "CPU of it", "limit"]]
    for one in found:
        wall = f"{statistics.median(one.wall):.0f} ({min(one.wall):.0f} to {max(one.wall):.0f})"
        rows.append([one.title, wall, f"{statistics.median(one.cpu):.0f}", f"{one.limit:.0f}"])
    return rows


def _log_costs(found: LogTimes) -> list[list[str]]:
    rows = [["part", "storing", "following"]]
    for name, stored in found.stored_cpu.items():
        rows.append([name, f"{stored:.1f}", f"{found.followed_cpu[name]:.2f}"])
    return [*rows, ["sum", f"{sum(found.stored_cpu.values()):.1f}", f"{sum(found.followed_cpu.values()):.2f}"]]


def _sizes(sizes: Mapping[int, Row]) -> list[list[str]]:
    table = [["services", "per s, 1 connection", "CPU ms", "CPU ms per service"]]
    for count, row in sizes.items():
        cost = row.cost(connections=_ONE)
        table.append([str(count), f"{row.rate(_ONE):,.1f}", f"{cost:.2f}", f"{cost / count:.3f}"])
    return table


def _at_rest(found: Results) -> list[list[str]]:
    """A filled suite has answered the whole list of requests as well."""
    head = ["part", "memory MiB (shares of what is shared)", f"with {found.filled_with:,} services", "cores"]
    shown = [
        [name, f"{size:.0f}", _filled(found, name), f"{found.rest[name]:.3f}"] for name, size in found.memory.items()
    ]
    filled = f"{sum(found.memory_filled.values()):.0f}" if found.memory_filled else ""
    return [head, *shown, ["sum", f"{sum(found.memory.values()):.0f}", filled, f"{sum(found.rest.values()):.3f}"]]


def _filled(found: Results, name: str) -> str:
    return f"{found.memory_filled[name]:.0f}" if name in found.memory_filled else ""


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def plots(found: Results, folder: Path) -> None:
    """PNG files beside the page; none where requests were not measured."""
    if not found.rows:
        return
    import matplotlib.pyplot as plt  # noqa: PLC0415 -- a second that whoever wants no plots need not wait.

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    counts = list(found.sizes)
    axes.loglog(counts, [found.sizes[count].cost(connections=_ONE) for count in counts], "o-")
    axes.set(xlabel="services in the list", ylabel="CPU ms per request", title="List of services")
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(folder / "benchmarks-lists.png", dpi=100)

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    rows = [row for row in found.rows if row.subject != "Swarm"]
    names, left = [f"{row.work} ({row.subject})" for row in rows], [0.0] * len(rows)
    for part in ("gateway", "service", "Postgres", "other services"):
        widths = [_share(row, part) for row in rows]
        axes.barh(names, widths, left=left, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(xlabel="CPU ms per request")
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(folder / "benchmarks-cpu.png", dpi=100)


def _share(row: Row, part: str) -> float:
    if part == "other services":
        return max(0.0, row.cost() - row.cost("gateway") - row.cost(row.answers) - row.cost("Postgres"))
    return row.cost(row.answers if part == "service" else part)
