"""How Postgres answers prepared statements, which it plans once for whatever they are given."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import services.deploy_svc
from services.deploy_svc.store import tables
from services.deploy_svc.store.service_versions import of_grid
from services.kernel.db import Database
from services.kernel.migrations import migrate
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres

_MIGRATIONS = Path(services.deploy_svc.__path__[0]) / "migrations"
_FILL = """insert into deploy.services (id, grid_id, grid, stack, name, spec, created_at)
    select 's' || grid || '-' || number, 'g' || grid, 'g' || grid, 'null', 's' || number,
        jsonb_build_object('image', repeat('x', 500)), now() + number * interval '1 second'
    from generate_series(1, 3) grid, generate_series(1, case grid when 1 then 20 else 2000 end) number"""
_SCANS = "select seq_scan, idx_scan from pg_stat_user_tables where schemaname = 'deploy' and relname = 'services'"


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    found = postgres.database()
    migrate(found, _MIGRATIONS, tables.metadata)
    return found


@pytest.fixture
async def beside(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with a small grid, g1, beside large ones."""
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL)
    await connection.execute("vacuum analyze deploy.services")
    await connection.execute("select pg_stat_force_next_flush()")
    yield connection
    await connection.close()


async def test_a_list_reads_no_other_grid(url: str, beside: asyncpg.Connection) -> None:
    before = tuple(await beside.fetchrow(_SCANS))
    db = Database(url)
    assert len(await of_grid(db, "g1")) == 20
    # Its connections tell what they did when they end.
    await db.close()

    async def told() -> bool:
        return tuple(await beside.fetchrow(_SCANS)) != before

    await eventually(told, message="Postgres tells how the table was read")
    seq, index = await beside.fetchrow(_SCANS)
    assert (seq, index) == (before[0], before[1] + 1)
