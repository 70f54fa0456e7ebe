import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.grid_svc.loops.resource_usage import keep_samples
from services.kernel.db import Database
from tests.integration.grid_svc.agents import joined
from tests.integration.grid_svc.caller import Caller
from tests.support.eventually import eventually
from tests.support.running import Running

Users = Callable[..., Caller]
GridId = Callable[[str], Awaitable[str]]

STATS: dict[str, Any] = {
    "memory": {"used": 5e9, "total": 8e9, "free": 3e9, "active": 1, "inactive": 2, "cached": 3, "buffers": 4},
    "load": {"1m": 0.25},
    "filesystem": [{"name": "/", "used": 10, "total": 20}, {"name": "/data", "used": 1, "total": 2}],
    "cpu": {"num_cores": 4, "system": 10.111, "user": 20.222, "nice": 1, "idle": 368.667},
    "network": {"external": {"interfaces": ["eth0"], "rx_bytes": 1000, "rx_bytes_per_second": 10, "tx_bytes": 2000}},
}


@pytest.fixture
async def connection(grid_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await asyncpg.connect(grid_url)
    yield found
    await found.close()


async def test_samples_become_minutes_of_node_and_grid(admin: Caller, grid: Running, token: str, users: Users) -> None:
    async with joined(grid.channel, token, 1) as one, joined(grid.channel, token, 2) as two:
        await one.stats(**STATS)
        await two.stats(**STATS)

        async def sampled() -> list[dict[str, Any]] | None:
            stats: list[dict[str, Any]] = (await admin.grid_metrics("alpha")).body["stats"]
            return stats if sum(minute["cpu"]["cores"] for minute in stats) == 8 else None

        minutes = await eventually(sampled)
        assert minutes is not None
        node = (await admin.node_metrics("alpha/node-1")).body
        [minute] = node["stats"]
        assert minute["cpu"] == {"used": 31.33, "cores": 4}
        assert minute["memory"] == STATS["memory"]
        assert minute["filesystem"] == {"used": 11, "total": 22}
        assert minute["network"]["external"] == {
            "interfaces": ["eth0"],
            "rx_bytes": 1000,
            "rx_bytes_per_second": 10,
            "tx_bytes": 2000,
            "tx_bytes_per_second": 0,
        }
        assert minute["network"]["internal"] == {"interfaces": []}
        assert minute["timestamp"].endswith(":00.001Z")
        assert node["from"] < minute["timestamp"] <= node["to"] or node["from"][:16] == minute["timestamp"][:16]
        if len(minutes) == 1:
            # Sums over nodes, processors included.
            assert minutes[0]["cpu"] == {"used": 62.67, "cores": 8}
            assert minutes[0]["memory"]["used"] == 1e10
        # Network goes to the history only.
        assert "network" not in (await admin.node("alpha/node-1")).body["resource_usage"]
        assert (await users().grid_metrics("alpha")).status == 403
        assert (await users().node_metrics("alpha/node-1")).status == 403
        assert (await admin.node_metrics("alpha/none")).status == 404
        assert (await admin.grid_metrics("none")).status == 404


async def insert(
    connection: asyncpg.Connection, node: str, at: datetime, cpu: float, total: float | None = 2.0
) -> None:
    await connection.execute(
        "insert into grid.resource_usage (at, grid_id, node_id, cpu_used, cpu_cores, memory_used, filesystem_used, "
        "filesystem_total) select $1, grid_id, id, $2, 2, 100, 1, $3 from grid.nodes where name = $4",
        at,
        cpu,
        total,
        node,
    )


async def test_averages_within_a_minute_and_sums_over_nodes(
    admin: Caller, grid: Running, token: str, connection: asyncpg.Connection
) -> None:
    start = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    async with joined(grid.channel, token, 1), joined(grid.channel, token, 2):
        for seconds, cpu in ((0, 10.0), (30, 20.0), (60, 50.0)):
            await insert(connection, "node-1", start + timedelta(seconds=seconds), cpu)
        await insert(connection, "node-2", start, 7.0)
        # Without filesystems it does not count.
        await insert(connection, "node-2", start, 1000.0, None)
        span = {"from": "2026-01-02T03:04:00Z", "to": "2026-01-02T05:05:00+02:00"}
        node = (await admin.node_metrics("alpha/node-1", **span)).body
        assert (node["from"], node["to"]) == ("2026-01-02T03:04:00.001Z", "2026-01-02T03:05:00.001Z")
        assert [(item["timestamp"], item["cpu"]["used"]) for item in node["stats"]] == [
            ("2026-01-02T03:04:00.001Z", 15),
            ("2026-01-02T03:05:00.001Z", 50),
        ]
        whole = (await admin.grid_metrics("alpha", **span)).body["stats"]
        assert [(item["cpu"], item["memory"]["used"]) for item in whole] == [
            ({"used": 22, "cores": 4}, 200),
            ({"used": 50, "cores": 2}, 100),
        ]
        earlier = {"from": "2026-01-02T03:04:01Z", "to": "2026-01-02T03:04:59Z"}
        assert [
            item["cpu"]["used"] for item in (await admin.node_metrics("alpha/node-1", **earlier)).body["stats"]
        ] == [20]
        bad = await admin.grid_metrics("alpha", **{"from": "yesterday?"})
        assert (bad.status, bad.body) == (400, {"error": "from is no date-time"})


async def test_samples_of_an_older_session_are_dropped(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token) as old:
        await old.stats(**STATS)
        async with joined(grid.channel, token) as new:
            await new.stats(**(STATS | {"load": {"1m": 9}}))

            async def newest() -> bool:
                used = (await admin.node("alpha/node-1")).body["resource_usage"]
                return bool(used["load"]["1m"] == 9)

            await eventually(newest)


async def partitions(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = 'grid.resource_usage'::regclass"
    )
    return {row["relname"].removeprefix("resource_usage_") for row in rows}


async def test_partitions_are_made_ahead_and_dropped_when_old(
    admin: Caller, grid: Running, token: str, grid_url: str, connection: asyncpg.Connection
) -> None:
    today = (await connection.fetchval("select (now() at time zone 'UTC')::date")).isoformat()
    old = date.fromisoformat(today) - timedelta(days=30)
    async with joined(grid.channel, token):
        at = datetime(old.year, old.month, old.day, 12, tzinfo=UTC)
        name = f"{old:%Y%m%d}"
        await connection.execute(
            f"create table grid_partitions.resource_usage_{name} partition of grid.resource_usage "
            f"for values from ('{old} 00:00Z') to ('{old + timedelta(days=1)} 00:00Z')"
        )
        await insert(connection, "node-1", at, 1.0)
        # Into the default partition.
        await insert(connection, "node-1", at - timedelta(days=5), 1.0)
        db = Database(grid_url)
        for _ in range(2):
            await keep_samples(db, 7)
        await db.close()
        found = await partitions(connection)
        assert name not in found
        assert {"default", *(f"{date.fromisoformat(today) + timedelta(days=n):%Y%m%d}" for n in range(4))} <= found
        assert await connection.fetchval("select count(*) from grid.resource_usage") == 0


async def test_statsd_gets_samples_while_the_grid_asks_for_it(admin: Caller, grid: Running, token: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        heard: set[str] = set()

        async def listen() -> None:
            while True:
                heard.update((await asyncio.get_running_loop().sock_recv(listener, 65536)).decode().split("\n"))

        task = asyncio.create_task(listen())
        await admin.create_grid({"name": "quiet"})
        await admin.update_grid("alpha", {"stats": {"statsd": {"server": "localhost", "port": port}}})
        async with joined(grid.channel, token) as agent:
            await agent.stats(**STATS)

            async def arrived() -> bool:
                return {
                    "alpha.node-1.memory.used:5000000000|g",
                    "alpha.node-1.cpu.load.1m:0.25|g",
                    "alpha.node-1.filesystem.data.total:2|g",
                    "alpha.node-1.network.external.rx_bytes_per_second:10|g",
                } <= heard

            await eventually(arrived)
            await admin.update_grid("alpha", {"stats": {"statsd": None}})
            heard.clear()
            await agent.stats(**(STATS | {"load": {"1m": 7}}))

            async def stored() -> bool:
                used = (await admin.node("alpha/node-1")).body["resource_usage"]
                return bool(used["load"]["1m"] == 7)

            await eventually(stored)
            # Another endpoint, so that the next sample proves that the one before went nowhere.
            await admin.update_grid("alpha", {"stats": {"statsd": {"server": "127.0.0.1", "port": port}}})
            await agent.stats(**(STATS | {"load": {"1m": 8}}))

            async def next_one() -> bool:
                return "alpha.node-1.cpu.load.1m:8|g" in heard

            await eventually(next_one)
            assert "alpha.node-1.cpu.load.1m:7|g" not in heard
        task.cancel()


async def test_an_endpoint_that_is_gone_loses_nothing_else(admin: Caller, grid: Running, token: str) -> None:
    for server in ("127.0.0.1", "no.such.host.invalid"):
        await admin.update_grid("alpha", {"stats": {"statsd": {"server": server, "port": 9}}})
        async with joined(grid.channel, token) as agent:
            for load in (1, 2):
                await agent.stats(**(STATS | {"load": {"1m": load}}))

                async def stored(expected: int = load) -> bool:
                    used = (await admin.node("alpha/node-1")).body.get("resource_usage", {})
                    return bool(used.get("load", {}).get("1m") == expected)

                await eventually(stored)
