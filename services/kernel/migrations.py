"""Schema migrations: one alembic history per service, in the service's own schema."""

import asyncio
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from services.kernel import locks
from services.kernel.db import engine_of


def migrate(url: str, folder: Path, metadata: sa.MetaData) -> None:
    """Bring the schema to the newest revision in `folder`. Idempotent, safe when several replicas do it at once."""
    asyncio.run(_migrate(url, folder, metadata))


async def drift(url: str, metadata: sa.MetaData) -> list[str]:
    """Differences between the tables in the database and `metadata`; empty when migrations are complete."""
    schema = str(metadata.schema)

    def compare(connection: Connection) -> list[str]:
        options = {
            "include_schemas": True,
            "version_table_schema": schema,
            "include_name": lambda name, kind, _parents: name == schema if kind == "schema" else True,
            "compare_server_default": False,
        }
        return [str(item) for item in compare_metadata(MigrationContext.configure(connection, opts=options), metadata)]

    engine = engine_of(url, poolclass=NullPool, command_timeout=None)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


def run_env(metadata: sa.MetaData) -> None:
    """The body of each service's `migrations/env.py`."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table_schema=metadata.schema)
    with context.begin_transaction():
        context.run_migrations()


async def _migrate(url: str, folder: Path, metadata: sa.MetaData) -> None:
    engine = engine_of(url, poolclass=NullPool, command_timeout=None)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, folder, str(metadata.schema))
    await engine.dispose()


def upgrade(connection: Connection, folder: Path, schema: str, revision: str = "head") -> None:
    """Bring the schema to a revision, within the transaction of the connection."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    # Those that start at the same time migrate one after the other, and others may have much to do. Tables, however,
    # are asked for by requests too, which would queue behind.
    connection.execute(sa.text("set local lock_timeout = '2min'"))
    connection.execute(sa.select(locks.MIGRATION("")))
    connection.execute(sa.text("set local lock_timeout = '4s'"))
    connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def revisions(folder: Path) -> frozenset[str]:
    """All that this release knows."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    return frozenset(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())
