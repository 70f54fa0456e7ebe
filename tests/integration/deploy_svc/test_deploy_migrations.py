from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import partitions, tables
from services.kernel.db import Database
from services.kernel.migrations import drift
from tests.support.postgres import TestPostgres


async def test_migrations_make_exactly_the_tables_of_the_code(deploy_url: str) -> None:
    assert await drift(deploy_url, tables.metadata) == []


async def test_migrating_makes_the_partitions_of_the_next_days(deploy_db: Database) -> None:
    async with deploy_db.read() as tx:
        today = await partitions.today(tx)
        for table in partitions.TABLES:
            assert [(day - today).days for day in sorted(await partitions.existing(tx, table))] == [0, 1, 2, 3]


def test_migrating_twice_changes_nothing(deploy_settings: Settings, postgres: TestPostgres) -> None:
    app.migrate(deploy_settings)
