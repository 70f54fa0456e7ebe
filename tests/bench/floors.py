"""`make bench-floor`: what of the floor of a request is what, and what other ways to serve it would give."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench import calls, wrk
from tests.bench.cpu import Meter
from tests.bench.floor_variants import FLOOR, GATEWAY, SERVER, VARIANTS, Variant
from tests.bench.floors_page import Measured, markdown
from tests.bench.measure import CONNECTIONS, Row, alternate
from tests.bench.ours import Ours, suite
from tests.bench.stand import PATH, Served, Stand
from tests.bench.wrk import Request
from tests.support.suite import REPOSITORY

_OURS = "tests.bench.floor_servers"


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds at many connections, beside one at one, and variants by name, all without any."""

    rounds: int
    seconds: float = 1
    rest_seconds: float = 4
    only: Collection[str] = ()


# One of each kind, on a machine that is not quiet.
SHORT = Plan(
    rounds=1,
    rest_seconds=1,
    only=(FLOOR, "gRPC, transcoder idle", "no deadline", "grpc with threads alone", "gRPC client at the server"),
)


def main() -> None:
    """Measure, print and write benchmarks-floor.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.floors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--short", action="store_true", help="little of everything, to see whether it runs")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs", help="folder of the page")
    options = parser.parse_args()
    plan = SHORT if options.short else Plan(options.rounds, options.seconds)
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="kfloors") as folder,
        suite(Path(folder), "unix:///nowhere", KONTENA_RUNTIME="hollow") as running,
    ):
        text = markdown(run(Ours(running), plan), plan.rounds, plan.seconds)
    sys.stdout.write(text)
    (options.out / "benchmarks-floor.md").write_text(text)


def run(ours: Ours, plan: Plan) -> list[Measured]:
    """All variants of the plan, the floor first; they run side by side and are measured in turn."""
    wanted = [one for one in VARIANTS if one.name in plan.only or not plan.only]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kfloor", ignore_cleanup_errors=True)))
        stand = Stand(ours, folder, stack)
        plain = stand.serve()
        # All at once: each loads for a second or two.
        servers = [_served(stand, one, plain) for one in wanted]
        parts: dict[str, list[int]] = {}
        asked = [_asked(stand, one, replicas, parts) for one, replicas in zip(wanted, servers, strict=True)]
        meter = Meter(lambda: parts, plan.rest_seconds)
        found = [
            Measured(one, Row("floor", one.name, request, meter, send=_load(one)))
            for one, request in zip(wanted, asked, strict=True)
        ]
        one, many = CONNECTIONS
        alternate([measured.row for measured in found], plan.rounds, plan.seconds, (many,))
        for measured in found:
            measured.row.run(one, plan.seconds)
    return found


def _served(stand: Stand, variant: Variant, plain: Served) -> list[Served]:
    if variant.part != SERVER:
        return [plain]
    return [stand.serve(_OURS, *variant.ways, processes=variant.processes) for _ in range(variant.replicas)]


def _asked(stand: Stand, variant: Variant, servers: Sequence[Served], parts: dict[str, list[int]]) -> Request:
    """The request, which is answered; process ids go to `parts`."""
    envoys = []
    if variant.gateway is None:
        servers[0].ready()
        url = f"http://127.0.0.1:{servers[0].port}"
    else:
        url, envoy = stand.gateway(*servers, **variant.gateway)
        envoys = [envoy]
    parts[f"{variant.name}: {GATEWAY}"] = envoys
    parts[f"{variant.name}: {SERVER}"] = [pid for served in servers for pid in served.pids]
    request = calls.call_of(url, stand.token) if variant.grpc else Request(f"{url}{PATH}", stand.token)
    if not variant.http2:
        _check(request)
    return request


def _check(request: Request) -> None:
    """wrk takes a gRPC error for a success."""
    headers = {"authorization": f"Bearer {request.token}", "content-type": request.content_type, "te": "trailers"}
    answer = httpx.request(request.method, request.url, content=request.body.encode(), headers=headers, timeout=30)
    assert answer.is_success, f"{answer.status_code} {answer.text}"
    assert b"busybox" in answer.content, f"{answer.headers}"


def _load(variant: Variant) -> Callable[[Request, int, float], wrk.Load]:
    return calls.load if variant.http2 else wrk.load


if __name__ == "__main__":
    main()
