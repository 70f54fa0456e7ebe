"""Whatever a real Postgres says while it cannot do its part, callers learn that they should try again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from services.kernel.db import Database
from services.kernel.errors import DomainError, Unavailable
from services.kernel.interceptor import to_domain_error
from services.kernel.statements import Statement
from tests.support.database_states import read_only, restarted_as, without_free_connections
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres

READ = "select count(*) from things"
WRITE = "insert into things values (1)"
PREPARED = Statement(sa.select(sa.func.pg_backend_pid().label("pid")))


@pytest.fixture(scope="module")
def server() -> Iterator[TestPostgres]:
    """One of our own: the others of this worker must not notice. All its connections are used at times, so these are
    few."""
    server = TestPostgres(max_connections=30)
    yield server
    server.stop()


@pytest.fixture
async def db(server: TestPostgres) -> AsyncIterator[Database]:
    database = Database(await asyncio.to_thread(server.database), pool_size=2)
    async with database.transaction() as tx:
        await tx.execute(sa.text("create table things (id int)"))
    yield database
    await database.close()


async def outcome(db: Database, *statements: str) -> DomainError | None:
    """None when it worked; what the caller of an RPC is told otherwise. Anything else is a fault of ours."""
    try:
        async with db.transaction() as tx:
            for statement in statements:
                await tx.execute(sa.text(statement))
    except Exception as error:
        if (known := to_domain_error(error)) is None:
            raise
        return known
    return None


async def not_now(db: Database, *statements: str) -> str:
    """The words of the refusal, which says when to try again."""
    told = await outcome(db, *statements)
    assert isinstance(told, Unavailable), told
    assert told.headers() == {"retry-after": "1"}
    return told.message


async def works(db: Database) -> None:
    async def works() -> bool:
        assert await outcome(db, WRITE) is None
        return True

    await eventually(works, message="all is well again")


async def test_a_server_that_is_starting(server: TestPostgres, db: Database) -> None:
    with restarted_as(server.data, "hot_standby=off", standby=True, wait=False):

        async def starting() -> bool:
            assert await not_now(db, READ) == "The database does not answer. Try again in a moment."
            return await _refusal(db.url) is asyncpg.CannotConnectNowError

        await eventually(starting, message="it takes connections and refuses them")
    await works(db)


async def _refusal(url: str) -> type[Exception]:
    with pytest.raises((OSError, asyncpg.PostgresError)) as raised:
        await asyncpg.connect(url)
    return raised.type


async def test_a_server_that_was_demoted(server: TestPostgres, db: Database) -> None:
    with restarted_as(server.data, standby=True):
        # Connections of before the restart are lost, each costs one request.
        await eventually(lambda: _reads(db), message="it reads")
        assert "takes no writes" in await not_now(db, WRITE)
        assert "takes no writes" in await not_now(db, READ, WRITE)
    await works(db)


async def _reads(db: Database) -> bool:
    return await outcome(db, READ) is None


async def test_connections_of_a_demoted_server_are_not_used_again(server: TestPostgres, db: Database) -> None:
    """They would refuse writes for ever, while the name already means the new primary."""
    pid = sa.text("select pg_backend_pid()")
    async with read_only(db.url):
        async with db.read() as tx:
            before = (await tx.execute(pid)).scalar()
        await eventually(lambda: _refused(db), message="it takes no writes")
        async with db.read() as tx:
            assert (await tx.execute(pid)).scalar() != before
    await works(db)


async def test_prepared_reads_leave_it_too(server: TestPostgres, db: Database) -> None:
    async with read_only(db.url):
        [before] = await db.fetch(PREPARED)
        await eventually(lambda: _refused(db), message="it takes no writes")
        [after] = await db.fetch(PREPARED)
    assert after.pid != before.pid
    await works(db)


async def test_a_prepared_read_goes_on_when_its_connection_broke(db: Database) -> None:
    [row] = await db.fetch(PREPARED)
    async with db.transaction() as tx:
        await tx.execute(sa.select(sa.func.pg_terminate_backend(row.pid)))
    [again] = await db.fetch(PREPARED)
    assert again.pid != row.pid


async def _refused(db: Database) -> bool:
    return isinstance(await outcome(db, WRITE), Unavailable)


async def test_a_server_whose_connections_are_all_used(server: TestPostgres, db: Database) -> None:
    other = Database(db.url)
    async with without_free_connections(db.url):
        assert "no more connections" in await not_now(other, READ)
    await works(other)
    await other.close()


async def test_a_server_that_ends_connections(server: TestPostgres, db: Database) -> None:
    assert "does not answer" in await not_now(db, "select pg_terminate_backend(pg_backend_pid())")
    await works(db)


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    for url in (
        f"postgresql://postgres:@/postgres?host={tmp_path}",
        "postgresql://postgres@no-such-host.invalid/postgres",
        "postgresql://postgres@127.0.0.1:1/postgres",
    ):
        db = Database(url)
        assert "does not answer" in await not_now(db, READ)
        await db.close()


async def test_tables_that_are_not_there_yet(server: TestPostgres, db: Database) -> None:
    assert "not there yet" in await not_now(db, "select * from nowhere")
    assert "not there yet" in await not_now(db, "create table missing_schema.things (id int)")
    assert "older" in await not_now(db, "select nothing from things")
    missing = Database(db.url.replace("/t", "/missing", 1))
    assert "not there yet" in await not_now(missing, READ)
    await missing.close()


async def test_a_statement_that_takes_too_long(server: TestPostgres, db: Database) -> None:
    assert "too long" in await not_now(db, "set local statement_timeout = 10", "select pg_sleep(10)")


async def test_two_that_wait_for_one_another(server: TestPostgres, db: Database) -> None:
    """Postgres ends one of them; both would succeed one after the other."""
    arrived = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> DomainError | None:
        try:
            async with db.transaction() as tx:
                await tx.execute(sa.text("set local deadlock_timeout = 10"))
                await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(first)))
                await arrived.wait()
                await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(second)))
        except Exception as error:
            return to_domain_error(error)
        return None

    told = await asyncio.gather(lock(1, 2), lock(2, 1))
    assert sorted(type(one).__name__ for one in told) == ["NoneType", "Unavailable"]


async def test_faults_of_ours_stay_faults(server: TestPostgres, db: Database) -> None:
    async with db.read() as tx:
        for wrong, values in (
            ("select 1 / 0", {}),
            ("insert into things values (:id)", {"id": "text"}),
            ("insert into things values (:id)", {"id": 2**40}),
        ):
            with pytest.raises(Exception, match=r".") as raised:
                await tx.execute(sa.text(wrong), values)
            assert to_domain_error(raised.value) is None, raised.value
