"""A schema that another release migrated: near ones are worked with, others are refused in words."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

import services.grid_svc
from services.grid_svc.store.tables import metadata
from services.kernel.db import Database
from services.kernel.errors import NotReady, StartRefused
from services.kernel.migrations import migrate
from services.kernel.schema import Migrations, State
from services.kernel.version import VERSION
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET

FOLDER = Path(services.grid_svc.__file__).parent / "migrations"
MIGRATIONS = Migrations(FOLDER, "grid")
FAR = "1.99.0"


@pytest.fixture(scope="module")
def migrated(postgres: TestPostgres) -> str:
    url = postgres.database()
    migrate(url, FOLDER, metadata)
    return url


def check(url: str) -> None:
    async def once() -> None:
        db = Database(url, pool_size=1)
        try:
            await MIGRATIONS.check(db)
        finally:
            await db.close()

    asyncio.run(once())


def state(url: str, *changes: str) -> tuple[str, str]:
    """Change the database; then the revision, and the comment that names the release."""

    async def run() -> tuple[str, str]:
        connection = await asyncpg.connect(url)
        for change in changes:
            await connection.execute(change)
        row = await connection.fetchrow(
            "select version_num, obj_description('grid.alembic_version'::regclass) from grid.alembic_version"
        )
        await connection.close()
        assert row is not None
        return row[0], row[1]

    return asyncio.run(run())


def of_release(release: str, revision: str) -> tuple[str, str]:
    """Statements that make a schema look like one that this release migrated."""
    return (
        f"update grid.alembic_version set version_num = '{revision}'",  # noqa: S608 -- ours.
        f"comment on table grid.alembic_version is 'Kontena Master {release}'",
    )


def test_a_schema_remembers_the_release_that_migrated_it(migrated: str) -> None:
    assert state(migrated)[1] == f"Kontena Master {VERSION}"
    check(migrated)


def test_a_service_waits_for_its_migrations(postgres: TestPostgres) -> None:
    url = postgres.database()
    with pytest.raises(NotReady, match=r"the schema grid is not there yet, this release needs \d+: run its migrations"):
        check(url)
    with pytest.raises(NotReady, match="the schema grid is at 0001, this release needs"):
        MIGRATIONS.judge(State("0001", "1.5.5"))


def test_a_schema_of_the_next_release_will_do_and_is_left_alone(postgres: TestPostgres) -> None:
    major, minor = (int(part) for part in VERSION.split(".")[:2])
    url = postgres.database()
    migrate(url, FOLDER, metadata)
    after = state(url, *of_release(f"{major}.{minor + 1}.0", "9999"))
    check(url)
    migrate(url, FOLDER, metadata)
    assert state(url) == after


@pytest.mark.parametrize("release", [FAR, None])
def test_another_schema_is_refused(release: str | None) -> None:
    with pytest.raises(StartRefused, match=r"does not know: it works with schemas of .* restore a backup"):
        MIGRATIONS.judge(State("9999", release))


def test_a_process_ends_with_the_reason_before_it_touches_anything(postgres: TestPostgres) -> None:
    url = postgres.database()
    migrate(url, FOLDER, metadata)
    before = state(url, *of_release(FAR, "9999"))
    env = {**os.environ, "DATABASE_URL": url, "CLUSTER_SECRET": CLUSTER_SECRET, "LISTEN_ADDRESS": "127.0.0.1:0"}
    for words in ([], ["migrate"]):
        command = [sys.executable, "-m", "services.grid_svc", *words]
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        said = ended.stdout + ended.stderr
        assert ended.returncode == 1, said
        assert f"the schema grid was migrated by {FAR}, to 9999, which {VERSION} does not know" in said
        assert "Traceback" not in said
    assert state(url) == before
