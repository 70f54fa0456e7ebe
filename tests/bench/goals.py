"""What it should cost, and whether it does: one line for each goal, with what is below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.loglines import LogTimes
from tests.bench.measure import CONNECTIONS, Row
from tests.bench.replicas import CORES, Scaled
from tests.bench.rolling import Rolled
from tests.bench.stacks import StackTimes

_ONE, _MANY = CONNECTIONS
# Of the four services, gateway, bridge and agent.
_MEMORY_MIB = 450
_NOT_OURS = "Postgres"


@dataclass(frozen=True)
class Goal:
    """`below` is what it is compared with: the floor, Swarm, the engine."""

    work: str
    goal: str
    found: str
    below: str
    met: bool

    @property
    def cells(self) -> list[str]:
        """A row of the table."""
        return [self.work, self.goal, self.found, self.below, "met" if self.met else "**not met**"]


HEAD = ["work", "goal", "found", "floor, or what it is compared with", ""]


def requests(rows: Sequence[Row]) -> Iterator[Goal]:
    """Reads, lists and writes, against the floor and against Swarm."""
    [floor] = [row for row in rows if row.subject == "floor"]
    swarm = {row.work: row for row in rows if row.subject == "Swarm"}
    for row in (row for row in rows if row.subject == "ours"):
        if row.work.startswith("get"):
            cost, rate = row.cost() / floor.cost(), row.rate(_MANY) / floor.rate(_MANY)
            below = f"{floor.cost():.2f} ms, {floor.rate(_MANY):,.0f} per s"
            found = f"{row.cost():.2f} ms ({cost:.2f}), {row.rate(_MANY):,.0f} per s ({rate:.2f})"
            goal = "at most 1.3 x the floor's CPU, at least 0.7 x its rate"
            yield Goal(row.work, goal, found, below, cost <= 1.3 and rate >= 0.7)
            p50, p99 = row.latency(_MANY)
            yield Goal(row.work, f"p99 at {_MANY} at most 3 x p50", f"{p99:.1f} and {p50:.1f} ms", "", p99 <= 3 * p50)
        if row.work.startswith("create"):
            goal = "at most 2 ms of CPU, at least 450 per s on one connection"
            found = f"{row.cost():.2f} ms, {row.rate(_ONE):,.0f} per s"
            below = f"{floor.cost():.2f} ms, {floor.rate(_ONE):,.0f} per s"
            yield Goal(row.work, goal, found, below, row.cost() <= 2 and row.rate(_ONE) >= 450)
        if other := swarm.get(row.work):
            least = 0.17 if row.work.startswith("get") else 0.3
            ratio, bottom = row.rate(_MANY) / other.rate(_MANY), floor.rate(_MANY) / other.rate(_MANY)
            goal = f"at least {least} of Swarm's rate"
            yield Goal(row.work, goal, f"{ratio:.2f}", f"floor: {bottom:.2f}", ratio >= least)


def lists(sizes: Mapping[int, Row]) -> Iterator[Goal]:
    """CPU of whole lists."""
    for count, most in ((100, 2.5), (1000, 22.0)):
        if row := sizes.get(count):
            cost = row.cost(connections=_ONE)
            yield Goal(f"list {count} services", f"at most {most:g} ms of CPU", f"{cost:.1f} ms", "", cost <= most)


def deploys(found: Mapping[int, Mapping[str, Sequence[float]]]) -> Iterator[Goal]:
    """Until all containers run."""
    for count, times in found.items():
        ours, swarm, engine = (median(times[name]) for name in ("ours", "Swarm", "Engine API, side by side"))
        met = ours <= swarm and ours <= 1.3 * engine
        goal = "at most Swarm's time, at most 1.3 x the engine's"
        below = f"Swarm {swarm:.2f} s, engine {engine:.2f} s"
        shown = f"{ours:.2f} s ({ours / swarm:.2f}, {ours / engine:.2f})"
        yield Goal(f"deploy {count} containers", goal, shown, below, met)


def stack(found: StackTimes) -> Iterator[Goal]:
    """A stack of many services."""
    work = f"stack of {found.services} on {found.nodes} hollow nodes"
    yield Goal(f"{work}, deployed", "60 s", f"{found.deployed:.1f} s", "", found.deployed <= 60)
    yield Goal(f"{work}, nothing changed", "5 s", f"{found.unchanged:.1f} s", "", found.unchanged <= 5)


def rolled(found: Rolled) -> Iterator[Goal]:
    """Rolling updates."""
    for order, seconds in found.seconds.items():
        work = f"rolling update of {found.instances}, {order}"
        ours, swarm = seconds["ours"], seconds["Swarm"]
        yield Goal(work, "at most Swarm's time", f"{ours:.1f} s", f"Swarm {swarm:.1f} s", ours <= swarm)
    shown = f"{found.failed} of {found.requests}"
    yield Goal("requests during start_first", "0 failed", shown, "", found.failed == 0 < found.requests)


def logs(found: LogTimes) -> Iterator[Goal]:
    """Log lines."""
    stored = f"{found.stored:,.0f} per s"
    copied = f"COPY: {found.copied:,.0f} per s"
    yield Goal("store log lines", "at least half of raw COPY", stored, copied, 2 * found.stored >= found.copied)
    late = f"p50 {found.p50:.0f}, p99 {found.p99:.0f} ms, {found.received:,.0f} lines per s each"
    work = f"{found.followers} followers of {found.lines_per_second:,} lines per s"
    yield Goal(work, "a line within 250 ms", late, "", found.p99 <= 250)


def replicas(found: Sequence[Scaled]) -> Iterator[Goal]:
    """Two of a service, each with a part of a core."""
    for scaled in found:
        one, two = scaled.rates
        work = f"two of {scaled.answers}, each with {CORES:g} cores: {scaled.work}"
        yield Goal(
            work,
            "at least 1.6 x the rate of one",
            f"{two / one:.2f}: {two:,.0f} per s",
            f"one: {one:,.0f} per s",
            two >= 1.6 * one,
        )


def memory(found: Mapping[str, float]) -> Iterator[Goal]:
    """Idle processes."""
    ours = sum(size for name, size in found.items() if name != _NOT_OURS)
    shown = f"{ours:.0f} MiB"
    below = f"Postgres besides: {found[_NOT_OURS]:.0f} MiB" if _NOT_OURS in found else ""
    yield Goal("memory, idle", f"below {_MEMORY_MIB} MiB", shown, below, ours < _MEMORY_MIB)
