"""What is known of segments of log lines changes no answer, and spares reading lines that cannot match."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.log_line import StoredLine
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.log_segment import SIZE
from services.deploy_svc.loops.log_quota import LogQuota
from services.deploy_svc.loops.log_segments import LogSegments
from services.deploy_svc.store import log_reading, log_segments, tables
from services.kernel import locks
from services.kernel.db import Database, raw_connection
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

pytestmark = pytest.mark.slow

# Ids are far apart, so that few lines make many segments; the last of them are in one that is not complete.
LINES, APART = 1500, 100
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
GRID = LogScope("g", "g1")
WEB, DB = (frozenset({name}) for name in ("web", "db"))
SCOPES = [
    GRID,
    replace(GRID, service_ids=WEB),
    replace(GRID, service_ids=WEB | DB),
    replace(GRID, stack="shop"),
    replace(GRID, stack="none"),
    replace(GRID, node_ids=frozenset({"n1"})),
    replace(GRID, node_ids=frozenset({"n0", "n1"}), service_ids=DB),
    replace(GRID, node_ids=frozenset({"away"})),
    replace(GRID, container_names=frozenset({"web-1", "plain"})),
    replace(GRID, node_ids=frozenset({"n2"}), container_id="c5"),
    LogScope("other", "g2", node_ids=frozenset({"n1"})),
]
QUERIES = [
    LogQuery(limit=7),
    LogQuery(limit=5000),
    LogQuery(limit=20, since=BEGIN + timedelta(seconds=1490)),
    LogQuery(limit=20, since=BEGIN + timedelta(seconds=700)),
    LogQuery(since=BEGIN + timedelta(days=1)),
    LogQuery(limit=40, before=70_000),
    LogQuery(limit=40, after=30_000),
    LogQuery(limit=5000, after=30_000, before=90_000),
    LogQuery(after=148_000),
    LogQuery(limit=9, instance=2),
    LogQuery(instance=9),
    LogQuery(limit=30, container="web-2"),
    LogQuery(limit=9, search="LINE 7"),
    LogQuery(limit=9, search="line 7", after=1000),
    LogQuery(search="nowhere"),
]
# (service, instance, container) in turn; the last one has no service. 500 lines of each node, 250 of each container.
_WROTE = [("web", 1), ("web", 2), ("db", 1), ("db", 2), ("late", 1), (None, None)]


@pytest.fixture
async def db(engine_url: str) -> AsyncIterator[Database]:
    await empty_tables(engine_url, "deploy")
    found = Database(engine_url, pool_size=3)
    yield found
    await found.close()
    # Ids begin anew for the next one.
    await empty_tables(engine_url, "deploy")


@pytest.fixture
async def written(db: Database) -> None:
    service = {"grid_id": "g", "grid": "g1", "stack": "shop", "spec": {}}
    lines = [line(number) for number in range(1, LINES + 1)]
    async with db.transaction() as tx:
        services = [{**service, "id": name, "name": name} for name in ("web", "db")]
        await tx.execute(tables.services.insert(), services)
        await tx.execute(tables.container_logs.insert(), lines)
        await tx.execute(sa.text(f"select setval('deploy.container_logs_id_seq', {LINES * APART})"))


def line(number: int, **changed: Any) -> dict[str, Any]:
    service, instance = _WROTE[number % len(_WROTE)]
    return {
        "id": number * APART, "grid_id": "g" if number % 50 else "other", "node_id": f"n{number % 3}", "node": "",
        "service_id": service, "instance_number": instance, "container_id": f"c{number % len(_WROTE)}",
        "container_name": f"{service}-{instance}" if service else "plain", "time": BEGIN + timedelta(seconds=number),
        "type": "stdout", "data": f"Line {number}", **changed,
    }  # fmt: skip


async def complete(db: Database) -> None:
    """Segments are written down, but for the newest."""
    loop = LogSegments(db)

    async def done() -> bool:
        await loop.turn()
        async with db.read() as tx:
            return await log_segments.open_segment(tx) == LINES * APART // SIZE

    await eventually(done, message="segments are complete")


async def read(db: Database, scope: LogScope, wanted: LogQuery) -> list[StoredLine]:
    """All of it, also when it is a search that goes on."""
    async with db.read() as tx:
        found = part = await log_reading.select(tx, scope, wanted)
        while part.until is not None:
            rest = replace(wanted, limit=wanted.limit - len(found))
            rest = replace(rest, before=part.until) if wanted.after is None else replace(rest, after=part.until)
            part = await log_reading.select(tx, scope, rest)
            found = type(found)([*part, *found] if wanted.after is None else [*found, *part])
    return found


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    """Those that run, with their values."""
    found: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        found.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


async def lines_read(db: Database, scope: LogScope, wanted: LogQuery) -> int:
    """How many lines Postgres looks at to answer."""
    with _statements() as statements:
        await read(db, scope, wanted)
    async with db.read() as tx:
        connection = await raw_connection(tx)
        # Tables as small as these are read as a whole where that is as fast, which depends on what is known of them.
        await connection.execute("set enable_seqscan = off")
        plans = [
            await connection.fetchval(f"explain (analyze, format json) {statement}", *values)
            for statement, values in statements
            if "deploy.container_logs." in statement
        ]
    return sum(_looked_at(plan[0]["Plan"]) for plan in plans)


def _looked_at(node: dict[str, Any]) -> int:
    below = sum(_looked_at(child) for child in node.get("Plans", ()))
    if not str(node.get("Relation Name", "")).startswith("container_logs"):
        return below
    return below + int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


@pytest.mark.usefixtures("written")
async def test_answers_are_the_same_with_segments_and_without(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list(product(SCOPES, QUERIES))
    before = [await read(db, *each) for each in asked]
    assert len({len(found) for found in before}) > 20, "the questions are different ones"
    await complete(db)
    # Searches of several parts, and many statements.
    monkeypatch.setattr(log_reading, "SEARCHED", 300)
    monkeypatch.setattr(log_reading, "_RANGES", 20)
    for (scope, wanted), expected in zip(asked, before, strict=True):
        assert await read(db, scope, wanted) == expected, (scope, wanted)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (GRID, LogQuery(since=BEGIN + timedelta(days=1))),
        (replace(GRID, service_ids=WEB), LogQuery(instance=9)),
        (replace(GRID, service_ids=WEB), LogQuery(since=BEGIN + timedelta(days=1))),
        (replace(GRID, stack="shop"), LogQuery(container="none")),
        (replace(GRID, node_ids=frozenset({"away"})), LogQuery()),
        (replace(GRID, node_ids=frozenset({"away"})), LogQuery(after=5)),
        (replace(GRID, container_id="none"), LogQuery(search="line")),
    ],
)
async def test_of_lines_that_cannot_match_only_the_newest_are_looked_at(
    db: Database, scope: LogScope, wanted: LogQuery
) -> None:
    assert await lines_read(db, scope, wanted) > LINES / 5, "without segments: all lines of the service, or of the grid"
    await complete(db)
    assert await lines_read(db, scope, wanted) <= LINES * APART % SIZE // APART + 1


@pytest.mark.usefixtures("written")
async def test_what_wrote_little_is_found_without_reading_all(db: Database) -> None:
    rare = [line(number, container_name="rare", container_id="r") for number in (101, 701)]
    async with db.transaction() as tx:
        await tx.execute(tables.container_logs.insert(), [{**row, "id": row["id"] + 1} for row in rare])
    await complete(db)
    scope = replace(GRID, container_names=frozenset({"rare"}))
    assert [found.data for found in await read(db, scope, LogQuery())] == ["Line 101", "Line 701"]
    # A part of a segment around each, and the newest segment.
    assert await lines_read(db, scope, LogQuery()) < LINES / 10


@pytest.mark.usefixtures("written")
async def test_a_segment_waits_for_lines_that_are_on_their_way(db: Database) -> None:
    loop = LogSegments(db)
    scope = replace(GRID, container_names=frozenset({"slow"}))
    async with db.transaction() as tx:
        await tx.execute(tables.container_logs.insert(), [{**line(1, container_name="slow"), "id": 7}])
        for _ in range(3):
            await loop.turn()
            async with db.read() as other:
                assert await log_segments.open_segment(other) == 0
    await complete(db)
    assert [found.id for found in await read(db, scope, LogQuery())] == [7]


@pytest.mark.usefixtures("written")
async def test_what_is_known_of_lines_that_are_gone_is_forgotten(db: Database) -> None:
    await complete(db)
    async with db.transaction() as tx:
        await tx.execute(tables.container_logs.delete().where(tables.container_logs.c.id < 70_000))
        await tx.execute(tables.container_logs.delete().where(tables.container_logs.c.grid_id == "other"))
        await locks.hold(tx, locks.LOG_SEGMENTS)
        await log_segments.forget(tx)
    async with db.read() as tx:
        known = (await tx.execute(sa.select(tables.log_segments.c.segment).distinct())).scalars().all()
        grids = (await tx.execute(sa.select(tables.log_streams.c.grid_id).distinct())).scalars().all()
        assert await log_segments.open_segment(tx) == LINES * APART // SIZE
    assert (min(known), grids) == (70_000 // SIZE, ["g"])
    assert len(await read(db, replace(GRID, node_ids=frozenset({"n1"})), LogQuery(limit=5000))) > 100


@pytest.mark.usefixtures("written")
async def test_making_room_forgets_segments(db: Database) -> None:
    await complete(db)
    async with db.transaction() as tx:
        await tx.execute(tables.log_usage.insert().values(grid_id="g", bytes=10**9))
    await LogQuota(db, 0, 2**40).turn()
    async with db.read() as tx:
        assert (await tx.execute(sa.select(tables.log_streams.c.grid_id).distinct())).scalars().all() == ["other"]


@pytest.mark.usefixtures("deploy")
async def test_an_engine_writes_segments_down(deploy_db: Database) -> None:
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.container_logs.insert(), [line(1)])
        await tx.execute(sa.text(f"select setval('deploy.container_logs_id_seq', {SIZE + 1})"))

    async def written_down() -> bool:
        async with deploy_db.read() as tx:
            return await log_segments.open_segment(tx) == 1

    await eventually(written_down)
