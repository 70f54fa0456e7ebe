"""Transactions of nothing but prepared statements: what commits, what is given up, and what a broken one leaves."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa

from services.kernel.database_errors import translate_database_error
from services.kernel.db import Database, run, run_last
from services.kernel.errors import NotFound
from services.kernel.statements import Statement, when_committed
from tests.support.postgres import TestPostgres

_table = sa.Table("noted", sa.MetaData(), sa.Column("text", sa.Text, primary_key=True))
_ADD = Statement(_table.insert().values(text=sa.bindparam("given")).returning(_table.c.text))
_told = list[str]()
_TELL = Statement(
    when_committed(
        _table.insert().values(text=sa.bindparam("given")).returning(_table.c.text),
        lambda given: _told.append(given["given"]),
    )
)
_ALL = Statement(sa.select(_table.c.text).order_by(_table.c.text))
_WHO = Statement(sa.select(sa.func.pg_backend_pid().label("pid"), sa.func.now().label("begun")))


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    return postgres.database()


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    found = Database(url)
    async with found.transaction() as tx:
        await tx.run_sync(_table.metadata.create_all)
    yield found
    await found.close()


async def _texts(db: Database) -> list[str]:
    return [row.text for row in await db.fetch(_ALL)]


async def test_what_is_written_commits_at_the_end(db: Database) -> None:
    async with db.prepared() as tx:
        await run(tx, _ADD, given="a")
        await run(tx, _ADD, given="b")
        assert await _texts(db) == []
    assert await _texts(db) == ["a", "b"]


async def test_a_last_statement_that_is_alone_is_committed_when_it_answers(db: Database) -> None:
    async with db.prepared() as tx:
        await run_last(tx, _ADD, given="a")
        assert await _texts(db) == ["a"]
        with pytest.raises(RuntimeError):
            await run(tx, _ADD, given="b")
    async with db.prepared() as tx:
        await run(tx, _ADD, given="b")
        await run_last(tx, _ADD, given="c")
        assert await _texts(db) == ["a"]
    assert await _texts(db) == ["a", "b", "c"]


async def _adds_and_raises(db: Database, error: type[Exception]) -> None:
    async with db.prepared() as tx:
        await run(tx, _ADD, given="a")
        raise error


async def _adds_twice(db: Database) -> None:
    async with db.prepared() as tx:
        await run(tx, _ADD, given="a")
        await run(tx, _ADD, given="a")


async def test_an_error_gives_up_what_was_written(db: Database) -> None:
    async with db.prepared() as tx:
        [first] = await run(tx, _WHO)
    with pytest.raises(NotFound):
        await _adds_and_raises(db, NotFound)
    # The connection is whole, and in no transaction any more.
    async with db.prepared() as tx:
        [again] = await run(tx, _WHO)
    assert (again.pid, again.begun > first.begun) == (first.pid, True)
    with pytest.raises(asyncpg.UniqueViolationError):
        await _adds_twice(db)
    with pytest.raises(ZeroDivisionError):
        await _adds_and_raises(db, ZeroDivisionError)
    assert await _texts(db) == []


async def _loses_its_connection(db: Database) -> None:
    async with db.prepared() as tx:
        [found] = await run(tx, _WHO)
        async with db.read() as other:
            await other.execute(sa.select(sa.func.pg_terminate_backend(found.pid, 5000)))
        await run(tx, _ADD, given="a")


async def test_a_connection_that_ends_is_told_as_no_answer_and_replaced(db: Database) -> None:
    with pytest.raises(ConnectionError) as raised:
        await _loses_its_connection(db)
    assert translate_database_error(raised.value) is not None
    async with db.prepared() as tx:
        await run_last(tx, _ADD, given="b")
    assert await _texts(db) == ["b"]


async def _is_part_of_what_fails(db: Database) -> None:
    async with db.one_transaction():
        async with db.prepared() as tx:
            await run_last(tx, _ADD, given="a")
        raise NotFound


async def test_inside_one_transaction_it_takes_part_in_that(db: Database) -> None:
    with pytest.raises(NotFound):
        await _is_part_of_what_fails(db)
    assert await _texts(db) == []


async def _tells_and_raises(db: Database) -> None:
    async with db.prepared() as tx:
        await run(tx, _TELL, given="given up")
        raise NotFound


async def test_what_is_committed_is_told_then_and_what_is_given_up_never(db: Database) -> None:
    _told.clear()
    async with db.prepared() as tx:
        await run(tx, _TELL, given="a")
        assert _told == []
    with pytest.raises(NotFound):
        await _tells_and_raises(db)
    async with db.prepared() as tx:
        await run_last(tx, _TELL, given="b")
    await db.fetch(_TELL, given="c")
    async with db.transaction() as outer:
        await run(outer, _TELL, given="d")
        assert _told == ["a", "b", "c"]
    async with db.one_transaction():
        await db.fetch(_TELL, given="e")
        assert _told == ["a", "b", "c", "d"]
    assert _told == await _texts(db) == ["a", "b", "c", "d", "e"]
