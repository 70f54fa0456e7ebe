"""docs/benchmarks-floor.md."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.floor_variants import FLOOR, GATEWAY, SERVER, VARIANTS, Variant
from tests.bench.measure import CONNECTIONS, Row
from tests.bench.report import machine, table

_ONE, _MANY = CONNECTIONS


@dataclass
class Measured:
    """A variant, and what came of it: `row.cost` has the parts as `cost` here."""

    variant: Variant
    row: Row

    def cost(self, part: str) -> float:
        """CPU milliseconds of a request in a part; 0 where there is none."""
        return self.row.cost(f"{self.variant.name}: {part}")

    def times_the_other(self, part: str) -> float:
        """What `part` uses as a multiple of what the other one does, which has the same work in all variants of `part`
        and so tells how slow the machine was at the time."""
        other = GATEWAY if part == SERVER else SERVER
        name = self.variant.name
        used = self.row.cpu[CONNECTIONS[-1]]
        return statistics.median(one[f"{name}: {part}"] / one[f"{name}: {other}"] for one in used)


def markdown(found: Sequence[Measured], rounds: int, seconds: float) -> str:
    """The whole page."""
    shares = of_floor(found)
    parts = [
        "# What a request costs at least",
        "Written by `make bench-floor` (`tests/bench/floors.py`). The floor of [benchmarks.md](benchmarks.md), and in "
        "each row the same with one thing left out or done otherwise. CPU in milliseconds per request at "
        f"{_MANY} connections, medians. Where only the gateway or only the server differs, the other has the same work "
        "as for the floor and tells how slow the machine was meanwhile: *of floor's CPU* is corrected by that. Where "
        "both differ it is not, and rates never are. Other work slows the two down "
        "unequally all the same: single shares of two runs beside other work differed by up to 0.1.",
        "\n".join(
            [
                *machine(os.getloadavg()[2]),
                f"- rounds: {rounds} at {_MANY} connections, one at {_ONE}, {seconds:g} s each",
            ]
        ),
        table([_HEAD, *(_cells(one, found[0], shares[one.variant.name]) for one in found)]),
    ]
    if set(shares) == {one.name for one in VARIANTS}:
        parts.append(_follows(shares, found))
    return "\n\n".join(parts) + "\n"


_HEAD = [
    "variant",
    "gateway",
    "server",
    "sum",
    "of floor's CPU",
    f"per s, {_ONE}",
    f"per s, {_MANY}",
    "of floor's rate",
]


def of_floor(found: Sequence[Measured]) -> dict[str, float]:
    """CPU of each variant as a share of that of the floor, which is the first."""
    floor = found[0]
    assert floor.variant.name == FLOOR
    shares = {}
    for one in found:
        if part := one.variant.part:
            share = (1 + one.times_the_other(part)) / (1 + floor.times_the_other(part))
        else:
            share = _sum(one) / _sum(floor)
        shares[one.variant.name] = share
    return shares


def _sum(one: Measured) -> float:
    return one.cost(GATEWAY) + one.cost(SERVER)


def _cells(one: Measured, floor: Measured, share: float) -> list[str]:
    costs = [f"{cost:.2f}" for cost in (one.cost(GATEWAY), one.cost(SERVER), _sum(one))]
    rates = [f"{one.row.rate(count):,.0f}" for count in CONNECTIONS]
    return [one.variant.name, *costs, f"{share:.2f}", *rates, f"{one.row.rate(_MANY) / floor.row.rate(_MANY):.2f}"]


def _follows(shares: Mapping[str, float], found: Sequence[Measured]) -> str:
    """What the figures say; only of a run that has all variants."""
    less = {name: f"{1 - share:.0%}" for name, share in shares.items()}
    apart = abs(1 - shares["the floor once more"])
    rate = {one.variant.name: one.row.rate(_MANY) / found[0].row.rate(_MANY) for one in found}
    stream = shares["grpc.aio alone, a stream in"] - shares["grpc.aio alone"]
    bare = shares["gRPC, router alone"] + shares["grpc.aio alone"] - 1
    points = (
        f"Gateway: both scripts take {less['no Lua']}, the access log {less['no access log']}, JSON in place of gRPC "
        f"{less['gRPC, transcoder idle']}, the compressors {less['no compressors']}; one route in place of all would "
        f"save {less['one route']}. All filters but the router, JSON included: {less['gRPC, router alone']}.",
        f"Server: all that is ours around a call takes {less['grpc.aio alone']}. Of that authentication is "
        f"{less['no authentication']}, the deadline of the request {less['no deadline']}, metrics and log line "
        f"{less['no metrics']}, its entity tag {less['no entity tag']}; {stream:.0%} is that nothing of a "
        "request is read before its caller is known. A get takes no room for large answers, which lists do.",
        f"Other servers: grpc with threads alone would save {less['grpc with threads alone']} where grpc.aio alone "
        f"saves {less['grpc.aio alone']}; asyncio's own loop {less['the loop of asyncio']}.",
        f"An Envoy that only routes and a grpc.aio that only answers would leave {bare:.0%} of the floor. What is "
        "above that is JSON and what `gateway/README.md` and `docs/architecture.md` promise.",
        f"More processes make no request cheaper. Two replicas answer {rate['2 replicas']:.2f} times as many on this "
        f"machine, two processes on one port {rate['2 processes on one port']:.2f} times; gateway and load have the "
        "same cores. A port deals out connections, and a gateway has one for each of its threads, which may all meet "
        "the same process; replicas are chosen for each request.",
    )
    head = (
        "## What follows\nShares are of the CPU of a request of the floor. The same thing once more differed by "
        f"{apart:.0%} in this run; small shares say nothing unless the machine was quiet.\n"
    )
    return "\n".join([head, *(f"- {point}" for point in points)])
