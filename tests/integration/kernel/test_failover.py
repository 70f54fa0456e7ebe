"""One Postgres dies and its synchronous standby takes over: services find it, and nothing they were told is lost."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
import sqlalchemy as sa

from services.kernel.db import Database, notify
from services.kernel.errors import Unavailable
from services.kernel.interceptor import to_domain_error
from services.kernel.listen import Listener
from services.kernel.postgres import addresses, connect
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.postgres import TestPostgres
from tests.support.relay import pass_on
from tests.support.standby import Pair

pytestmark = pytest.mark.slow


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        yield pair


@pytest.fixture
async def db(pair: Pair) -> AsyncIterator[Database]:
    database = Database(pair.url, pool_size=3)
    async with database.transaction() as tx:
        await tx.execute(sa.text("create table numbers (n int primary key)"))
    yield database
    await database.close()


class Writer:
    """Writes numbers, and remembers those of which it was told that they are stored."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.stored: list[int] = []
        self.refused = 0

    async def run(self) -> None:
        for n in range(1_000_000):
            try:
                async with self._db.transaction() as tx:
                    await tx.execute(sa.text("insert into numbers values (:n)"), {"n": n})
                    await notify(tx, "numbers", str(n))
            except Exception as error:
                if not isinstance(to_domain_error(error), Unavailable):
                    raise
                self.refused += 1
                await asyncio.sleep(0.05)
            else:
                self.stored.append(n)


class Reader:
    """Hears of numbers; starts again when its connection breaks, as supervised loops do."""

    def __init__(self, url: str) -> None:
        self._listener = Listener(url, ["numbers"])
        self.heard: set[str | None] = set()

    async def run(self) -> None:
        async with self._listener.subscribe("numbers") as queue:
            listening = asyncio.create_task(self._listen())
            try:
                while True:
                    self.heard.add(await queue.get())
            finally:
                listening.cancel()

    async def _listen(self) -> None:
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._listener.run()
            await asyncio.sleep(0.05)


@contextmanager
def unplugged(host: str, port: int) -> Iterator[None]:
    """Packets to and from a server vanish, as those of a machine that lost its power."""
    rules = [["INPUT", "-p", "tcp", "-d", host, direction, str(port)] for direction in ("--dport", "--sport")]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", *rule, "-j", "DROP"], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", *rule, "-j", "DROP"], check=True)


@asynccontextmanager
async def at_work(pair: Pair, db: Database) -> AsyncIterator[None]:
    """Numbers are written and heard; after the block, which ends the primary and promotes the standby, they are again,
    and all that were stored are there."""
    writer, reader = Writer(db), Reader(pair.url)
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(writer.run()), tasks.create_task(reader.run())]
        await eventually(lambda: _is(len(writer.stored) > 20), message="it writes")
        await eventually(lambda: _is("5" in reader.heard or len(reader.heard) > 3), message="it hears")
        yield
        stored = len(writer.stored)
        await eventually(lambda: _is(len(writer.stored) > stored + 20), within=60, message="it writes again")
        latest = max(writer.stored)
        await eventually(
            lambda: _is(any(text and int(text) > latest for text in reader.heard)), within=60, message="it hears again"
        )
        for one in work:
            one.cancel()
    assert writer.refused > 0
    async with db.read() as tx:
        found = set((await tx.execute(sa.text("select n from numbers"))).scalars())
    assert set(writer.stored) - found == set()


async def _is(fact: bool) -> bool:
    return fact


async def test_a_primary_that_dies(pair: Pair, db: Database) -> None:
    first, second = pair.url.split("@")[1].split("/")[0].split(",")
    other_order = await connect(pair.url.replace(f"{first},{second}", f"{second},{first}"))
    assert await other_order.fetchval("select pg_is_in_recovery()") is False
    await other_order.close()
    async with at_work(pair, db):
        await asyncio.to_thread(pair.primary.kill)
        with pytest.raises(ConnectionError, match="no primary among the servers"):
            await connect(pair.url)
        await asyncio.to_thread(pair.standby.promote)


async def test_a_primary_whose_machine_is_gone(pair: Pair, db: Database) -> None:
    """Nobody says that its connections are of no use any more."""
    with ExitStack() as until_the_end:
        async with at_work(pair, db):
            until_the_end.enter_context(unplugged(pair.primary.host, pair.primary.port))
            await asyncio.to_thread(pair.standby.promote)


async def test_a_primary_that_was_busy_for_a_moment_is_asked_again(postgres: TestPostgres) -> None:
    """The other server says at once that it is not the one."""
    parts, asked = urlsplit(postgres.url), 0
    (folder,) = parse_qs(parts.query)["host"]

    async def silent_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await pass_on(reader, writer, await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432"))
        else:
            await reader.read()
            writer.close()

    host = "127.0.0.1"
    async with await asyncio.start_server(silent_at_first, host, port := free_port()):
        connection = await connect(f"postgresql://{parts.username}@{host}:{port},{host}:{free_port()}{parts.path}")
        await connection.close()
    # One that has too much to do is asked more often.
    assert asked >= 2


async def test_a_server_whose_name_is_gone_keeps_nobody_from_the_next_one(
    postgres: TestPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a container is; its resolver says nothing at all."""
    parts, resolve, asked, told = urlsplit(postgres.url), socket.getaddrinfo, [], threading.Event()
    (folder,) = parse_qs(parts.query)["host"]

    def silent_for_one(host: str, *words: Any, **options: Any) -> Any:
        if host == "gone":
            asked.append(host)
            told.wait()
        return resolve(host, *words, **options)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_on(reader, writer, await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432"))

    monkeypatch.setattr(socket, "getaddrinfo", silent_for_one)
    # Two seconds for each server, as often as a busy machine needs.
    monkeypatch.setattr("services.kernel.postgres._SECONDS", 60.0)
    try:
        async with await asyncio.start_server(serve, "localhost", port := free_port()):
            url = f"postgresql://{parts.username}@gone:5432,localhost:{port}{parts.path}"
            # More than the event loop has threads for lookups.
            for connection in await asyncio.gather(*(connect(url) for _ in range(16))):
                await connection.close()
        assert asked == ["gone"], "one lookup of a name at a time"
    finally:
        told.set()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p@a/db", [("a", 5432)]),
        ("postgresql://u:p%40@a:1,b/db", [("a", 1), ("b", 5432)]),
        ("postgresql://u@[::1]:7,[fd00::2]/db?sslmode=require", [("::1", 7), ("fd00::2", 5432)]),
        ("postgresql://postgres:@/postgres?host=/var/run", []),
    ],
)
def test_the_servers_of_a_url(url: str, found: list[tuple[str, int]]) -> None:
    assert addresses(url) == found
