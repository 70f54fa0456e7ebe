"""Log lines: how fast they are stored beside raw COPY of the same rows, and how late those who follow see them."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import asyncpg

from tests.bench.cpu import Meter
from tests.bench.ours import IMAGE, Ours
from tests.support.suite import soon

# Stored before the pace of a container counts.
_BURST = 50_000
_TABLE = "deploy.container_logs"
_TIME = b'"created_at":"'
_TIME_LENGTH = len("2026-01-01T00:00:00.000Z")
_SETTLING_SECONDS = 2.0


@dataclass(frozen=True)
class LogTimes:
    """Lines per second of a container stored, and copied; what followers saw of another one that writes
    `lines_per_second`: milliseconds from the engine's time of a line until it was there, in the middle and for 99 of
    100 reads, and lines per second that each of them got."""

    stored: float
    copied: float
    followers: int
    lines_per_second: int
    p50: float
    p99: float
    received: float
    # Seconds of CPU by part of the suite: per million lines stored, and per second of following.
    stored_cpu: Mapping[str, float]
    followed_cpu: Mapping[str, float]


def log_lines(ours: Ours, meter: Meter, followers: int, lines_per_second: int, seconds: float) -> LogTimes:
    """Write, count, follow."""
    stored, copied, stored_cpu = asyncio.run(_ingest(ours, meter))
    # A tenth of the lines ten times a second: busybox has no shorter sleep that is cheap.
    turn = f"i=0; while [ $i -lt {lines_per_second // 10} ]; do echo line $i of many; i=$((i+1)); done; sleep 0.1"
    with _writing(ours, "steady", f"while true; do {turn}; done") as path:
        stop = meter.start()
        seen = asyncio.run(_follow_all(ours, path, followers, seconds))
        followed_cpu = {name: used / (_SETTLING_SECONDS + seconds) for name, used in stop().items()}
    delays = sorted(delay for each in seen for delay, _ in each)
    assert delays, "no follower got a line"
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    received = sum(lines for each in seen for _, lines in each) / len(seen) / seconds
    times = (p50 * 1000, p99 * 1000, received)
    return LogTimes(stored, copied, followers, lines_per_second, *times, stored_cpu, followed_cpu)


async def _ingest(ours: Ours, meter: Meter) -> tuple[float, float, dict[str, float]]:
    database = await asyncpg.connect(ours.suite.database_url)
    try:
        before = await _lines(database)
        with _writing(
            # After a moment, so that all that the lines cost is counted and nothing that the deploy does.
            ours,
            "burst",
            f"sleep 3; yes this is one line of a log that is not very long | head -n {_BURST}; sleep 3600",
        ):
            stop = meter.start()
            began = await _until_stored(database, before + 1)
            # Thousands may be there at the first look: they are stored together.
            first = await _lines(database)
            ended = await _until_stored(database, before + _BURST)
            cpu = {name: used * 1e6 / _BURST for name, used in stop().items()}
        return (before + _BURST - first) / (ended - began), await _copy(database), cpu
    finally:
        await database.close()


async def _until_stored(database: asyncpg.Connection, lines: int) -> float:
    deadline = time.perf_counter() + 120
    while await _lines(database) < lines:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{_BURST} lines were not stored within 120 s")
        await asyncio.sleep(0.05)
    return time.perf_counter()


async def _lines(database: asyncpg.Connection) -> int:
    # Counting would take longer than storing; nobody else writes lines now.
    return int(await database.fetchval(f"select coalesce(max(id), 0) from {_TABLE}"))  # noqa: S608


async def _copy(database: asyncpg.Connection) -> float:
    """Lines per second of COPY into a table with the same columns and indexes."""
    await database.execute(f"create table bench_lines (like {_TABLE} including all)")
    try:
        rows = await database.fetch(f"select * from {_TABLE} order by id desc limit {_BURST}")  # noqa: S608
        began = time.perf_counter()
        await database.copy_records_to_table("bench_lines", records=[tuple(row) for row in rows])
        return len(rows) / (time.perf_counter() - began)
    finally:
        await database.execute("drop table bench_lines")


@contextmanager
def _writing(ours: Ours, name: str, script: str) -> Iterator[str]:
    grid = ours.api.grid
    body = {"name": name, "image": IMAGE, "stateful": False, "cmd": ["sh", "-c", f"trap exit TERM; ({script}) & wait"]}
    ours.api.call("POST", f"/v1/grids/{grid}/services", body, status=201)
    try:
        ours.api.deploy(f"{grid}/null/{name}")
        yield f"/v1/services/{grid}/null/{name}/container_logs?follow=1&limit=1"
    finally:
        ours.remove(name)
        path = f"/v1/services/{grid}/null/{name}"
        soon(lambda: ours.api.request("GET", path).status_code == 404, message=f"{name} is removed")


async def _follow_all(ours: Ours, path: str, followers: int, seconds: float) -> list[list[tuple[float, int]]]:
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {ours.api.token}", "Accept": "application/x-ndjson"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        begin = time.time() + _SETTLING_SECONDS
        follow = (_follow(session, ours.api.url + path, begin, begin + seconds) for _ in range(followers))
        return list(await asyncio.gather(*follow))


async def _follow(session: aiohttp.ClientSession, url: str, begin: float, end: float) -> list[tuple[float, int]]:
    """How old the newest line of each read was, and how many lines it brought."""
    found: list[tuple[float, int]] = []
    timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
    async with session.get(url, timeout=timeout) as answer:
        answer.raise_for_status()
        async for data in answer.content.iter_any():
            now = time.time()
            if now > end:
                return found
            at = data.rfind(_TIME)
            text = data[at + len(_TIME) : at + len(_TIME) + _TIME_LENGTH]
            if now >= begin and at >= 0 and len(text) == _TIME_LENGTH:
                created = datetime.fromisoformat(text.decode()).timestamp()
                found.append((now - created, data.count(b"\n")))
    raise RuntimeError(f"{url} ended")
