"""Migrations give way to the requests of replicas that work with the tables meanwhile, and are done all the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from services.kernel.migrations import migrate
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres

ENV = """
import sqlalchemy as sa
from services.kernel.migrations import run_env
run_env(sa.MetaData(schema="used"))
"""
REVISION = """
from alembic import op
revision = "{revision}"
down_revision = {before!r}
def upgrade():
    for statement in {statements!r}.split(";"):
        op.execute(statement)
"""
FIRST = "create table used.a (n int); create table used.b (n int)"
SECOND = "alter table used.a add column second int; alter table used.b add column second int"
THIRD = "alter table used.a add column third int"
WAITS = "select exists (select from pg_locks where not granted and relation = 'used.b'::regclass)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions").mkdir()
    return tmp_path


def add(folder: Path, *statements: str) -> None:
    """Revisions, after those that are there."""
    for each in statements:
        number = len(list((folder / "versions").glob("*.py"))) + 1
        before = f"{number - 1:04}" if number > 1 else None
        text = REVISION.format(revision=f"{number:04}", before=before, statements=each)
        (folder / "versions" / f"{number:04}.py").write_text(text)


@pytest.fixture
async def url(postgres: TestPostgres, folder: Path) -> str:
    """A database at the first revision."""
    add(folder, FIRST)
    url = await asyncio.to_thread(postgres.database)
    await migrated(url, folder)
    return url


@pytest.fixture
async def other(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def migrated(url: str, folder: Path) -> None:
    await asyncio.to_thread(migrate, url, folder, sa.MetaData(schema="used"))


async def test_a_request_that_would_wait_in_a_circle_goes_on(url: str, folder: Path, other: asyncpg.Connection) -> None:
    add(folder, SECOND, THIRD)
    async with other.transaction():
        await other.execute("select from used.b")
        migrating = asyncio.create_task(migrated(url, folder))
        # It has the first table and wants the second.
        await eventually(lambda: other.fetchval(WAITS), message="the migration waits")
        await other.execute("select from used.a")
        assert not migrating.done()
    await migrating
    await other.execute("select b.second, third from used.a, used.b limit 1")
    assert await other.fetchval("select version_num from used.alembic_version") == "0003"


async def test_what_was_done_before_an_end_stays(url: str, folder: Path, other: asyncpg.Connection) -> None:
    add(folder, SECOND, "alter table used.none add column n int")
    with pytest.raises(sa.exc.ProgrammingError, match="does not exist"):
        await migrated(url, folder)
    assert await other.fetchval("select version_num from used.alembic_version") == "0002"
    (folder / "versions" / "0003.py").unlink()
    add(folder, THIRD)
    await migrated(url, folder)
    assert await other.fetchval("select version_num from used.alembic_version") == "0003"
