"""What it costs to read logs when there are many: `make bench-logs LINES=50000000`, 700 bytes of disk each. CPU of the
server, as the clock tells more of the machine than of us."""

import os
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from services.deploy_svc import app
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.log_segment import SIZE_BITS
from services.deploy_svc.loops.log_segments import LogSegments
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import log_reading, log_segments, tables
from services.deploy_svc.store.partitions import PARTITIONS
from services.kernel.db import Database
from services.kernel.partitions import today
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres

LINES = int(os.environ.get("LINES", "10000000"))
DAYS = 5
# A statement has half a minute, also on a machine that does other things.
_AT_ONCE = 20_000
_MOST_WITHOUT = 10_000_000
_TICKS = os.sysconf("SC_CLK_TCK")

GRID = LogScope("g", "g")
SERVICE = replace(GRID, service_ids=frozenset({"service7"}))
NODE = replace(GRID, node_ids=frozenset({"node7"}))
LATER = datetime(2100, 1, 1, tzinfo=UTC)
ASKED = {
    "grid": (GRID, LogQuery()),
    "service": (SERVICE, LogQuery()),
    "service, since: none": (SERVICE, LogQuery(since=LATER)),
    "grid, since: none": (GRID, LogQuery(since=LATER)),
    "service, instance": (SERVICE, LogQuery(instance=3)),
    "service, instance: none": (SERVICE, LogQuery(instance=77)),
    "service, container: none": (SERVICE, LogQuery(container="none")),
    "node": (NODE, LogQuery()),
    "node: none": (replace(GRID, node_ids=frozenset({"none"})), LogQuery()),
    "node, since: none": (NODE, LogQuery(since=LATER)),
    "container": (replace(GRID, container_names=frozenset({"svc7-3"})), LogQuery()),
    "container: none": (replace(GRID, container_names=frozenset({"none"})), LogQuery()),
    "stack": (replace(GRID, stack="stack3"), LogQuery()),
    "stack, container: none": (replace(GRID, stack="stack3"), LogQuery(container="none")),
    "node: none, from the first": (replace(GRID, node_ids=frozenset({"none"})), LogQuery(after=0)),
    "grid, search: none": (GRID, LogQuery(search="nowhere")),
    "service, search: none": (SERVICE, LogQuery(search="nowhere")),
    "node, search: none": (NODE, LogQuery(search="nowhere")),
    "stack, search: none": (replace(GRID, stack="stack3"), LogQuery(search="nowhere")),
}
# 1,000 containers of 200 services in 10 stacks on 20 nodes, 50 lines of one after the other.
_LINES = """
insert into deploy.container_logs
  (arrived_on, grid_id, node_id, node, service_id, instance_number, container_name, container_id, time, type, data)
select date '{day}', 'g', 'node' || c % 20, '', 'service' || c % 200, c / 200 + 1,
  'svc' || c % 200 || '-' || c / 200 + 1, md5(c::text) || md5((c + 7)::text),
  timestamptz '{day} 00:00:00Z' + make_interval(secs => n * 80000.0 / {lines}), 'stdout',
  'GET /api/v1/orders/' || n || ' 200 ' || n % 977 || 'ms request_id=' || md5(n::text) || ' user=' || n % 50021
from (select n, abs(hashint4((n / 50)::integer)) % 1000 as c from generate_series(1, {lines}) n) numbers
"""


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    url = postgres.database()
    nobody = "127.0.0.1:1"
    secret = SecretStr("x" * 64)
    app.migrate(
        Settings(
            database_url=url, cluster_secret=secret, auth_address=nobody, grid_address=nobody, vault_address=nobody
        )
    )
    return url


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    # One connection, so that its process is the one whose CPU is read.
    found = Database(url, pool_size=1)
    yield found
    await found.close()


@pytest.mark.timeout(7200)
async def test_reading_logs(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await _write(db)
    # Of more lines it takes longer than a statement may.
    asked_before = ASKED if LINES <= _MOST_WITHOUT else {}
    without = {name: await _cost(db, *asked, times=1) for name, asked in asked_before.items()}
    async with db.read() as tx:
        pid = (await tx.execute(sa.text("select pg_backend_pid()"))).scalar_one()
        before = _cpu(pid)
    await _segments(db)
    spent = _cpu(pid) - before
    with capsys.disabled():
        print(f"\n{LINES} lines; segments: {spent * 1e6 / LINES:.2f} s of CPU per million lines")  # noqa: T201
        print(f"{'asked':30} {'found':>6} {'more':>5} {'without: ms':>12} {'CPU':>7} {'ms':>7} {'CPU':>7}")  # noqa: T201
        for name, asked in ASKED.items():
            found, more, milliseconds, cpu = await _cost(db, *asked, times=5)
            _, _, first, first_cpu = without.get(name, (0, False, nan, nan))
            print(  # noqa: T201
                f"{name:30} {found:6} {more!s:>5} {first:12.1f} {first_cpu:7.0f} {milliseconds:7.1f} {cpu:7.0f}"
            )


async def _write(db: Database) -> None:
    async with db.transaction() as tx:
        first = await today(tx) - timedelta(days=DAYS)
        for ago in range(DAYS):
            await PARTITIONS.create(tx, "container_logs", first + timedelta(days=ago))
        rows = [
            {"id": f"service{n}", "grid_id": "g", "grid": "g", "stack": f"stack{n % 10}", "name": f"svc{n}", "spec": {}}
            for n in range(200)
        ]
        await tx.execute(tables.services.insert(), rows)
    for ago in range(DAYS):
        day = first + timedelta(days=ago)
        for _ in range(max(1, LINES // DAYS // _AT_ONCE)):
            async with db.transaction() as tx:
                await tx.execute(sa.text(_LINES.format(day=day, lines=min(_AT_ONCE, LINES // DAYS))))
    async with db.read() as tx:
        for table in ("container_logs", "services"):
            await tx.execute(sa.text(f"analyze deploy.{table}"))


async def _segments(db: Database) -> None:
    loop = LogSegments(db)

    async def done() -> bool:
        await loop.turn()
        async with db.read() as tx:
            newest = await log_segments.newest_line(tx)
            return await log_segments.open_segment(tx) == newest >> SIZE_BITS

    await eventually(done, within=3600)


async def _cost(db: Database, scope: LogScope, wanted: LogQuery, *, times: int) -> tuple[int, bool, float, float]:
    """How many lines, whether a search has to go on, and milliseconds in all and of the CPU of the server."""
    taken, spent = [], 0.0
    for _ in range(times):
        async with db.read() as tx:
            pid = (await tx.execute(sa.text("select pg_backend_pid()"))).scalar_one()
            before, begun = _cpu(pid), time.perf_counter()
            part = await log_reading.select(tx, scope, wanted)
            taken.append(time.perf_counter() - begun)
            spent += _cpu(pid) - before
    return len(part), part.until is not None, statistics.median(taken) * 1000, spent * 1000 / times


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
