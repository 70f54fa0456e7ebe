from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import tables
from services.deploy_svc.store.partitions import PARTITIONS
from services.kernel.db import Database
from services.kernel.migrations import drift
from services.kernel.partitions import today as today_of
from tests.support.postgres import TestPostgres


async def test_migrations_make_exactly_the_tables_of_the_code(deploy_url: str) -> None:
    assert await drift(deploy_url, tables.metadata) == []


async def test_migrating_makes_the_partitions_of_the_next_days(deploy_db: Database) -> None:
    async with deploy_db.read() as tx:
        today = await today_of(tx)
        for table in PARTITIONS.columns:
            assert [(day - today).days for day in sorted(await PARTITIONS.existing(tx, table))] == [0, 1, 2, 3]


def test_migrating_twice_changes_nothing(deploy_settings: Settings, postgres: TestPostgres) -> None:
    app.migrate(deploy_settings)
