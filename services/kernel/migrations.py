"""Schema migrations: one alembic history per service, in the service's own schema.

A schema remembers which release migrated it (as the comment of alembic's table), as migrations only expand: the release
before it can go on, or come back, and older ones cannot.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from services.kernel import locks
from services.kernel.database_errors import sqlstate
from services.kernel.db import engine_of
from services.kernel.errors import NotReady, StartRefused
from services.kernel.logs import get_logger
from services.kernel.schema import RELEASE, Migrations, State, read_state, revisions, version_table
from services.kernel.version import VERSION, precedes

log = get_logger(__name__)

# lock_not_available, deadlock_detected.
_IN_USE = frozenset({"55P03", "40P01"})
_ATTEMPTS, _PAUSE_SECONDS = 60, 0.5


def migrate(url: str, folder: Path, metadata: sa.MetaData) -> None:
    """Bring the schema to the newest revision in `folder`, each one in a transaction of its own, while replicas work
    with it. Idempotent, safe when several do it at once; what ended in the middle goes on where it was.

    A schema of the next release stays as it is; one that is newer than that ends this process, with the reason.
    """
    try:
        asyncio.run(_migrate(url, folder, metadata))
    except StartRefused as refusal:
        sys.exit(f"nothing was migrated: {refusal}")


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
    try:
        while await _patiently(lambda: _one_step(engine, folder, str(metadata.schema))):
            pass
    finally:
        await engine.dispose()


async def _patiently(step: Callable[[], Awaitable[bool]]) -> bool:
    """A step that gave way to requests is tried again for a minute or so."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await step()
        except DBAPIError as error:
            if sqlstate(error) not in _IN_USE or attempt == _ATTEMPTS:
                raise
            log.warning("tables are in use, it is tried again", attempt=attempt)
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last attempt ends either way")


async def _one_step(engine: AsyncEngine, folder: Path, schema: str) -> bool:
    """One revision, so that no request waits for more than that one does; all of them where nothing is there yet.
    Returns whether there are more."""
    async with engine.begin() as connection:
        # Those that start at the same time migrate one after the other, and others may have much to do. Tables,
        # however, are asked for by requests too, which would queue behind; and who waits for a second is looked at by
        # Postgres, and may be the one that is ended when two wait for each other.
        await connection.execute(sa.text("set local lock_timeout = '2min'"))
        await locks.hold(connection, locks.MIGRATION)
        await connection.execute(sa.text("set local lock_timeout = '700ms'"))
        state = await connection.run_sync(read_state, schema)
        known = revisions(folder)
        newer = known[: known.index(state.revision)] if state.revision in known else []
        await connection.run_sync(upgrade, folder, schema, newer[-1] if newer else "head")
        return len(newer) > 1


def upgrade(connection: Connection, folder: Path, schema: str, revision: str = "head") -> None:
    """Bring the schema to a revision, within the transaction of the connection. As `migrate`, but StartRefused, and
    nobody else may do it meanwhile."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    state = read_state(connection, schema)
    if _ahead(Migrations(folder, schema), state):
        log.warning("the schema is newer and stays so", schema=schema, release=state.release)
        return
    connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if state.release is None or precedes(state.release, VERSION):
        # No place for parameters in this statement; all of it are words of this source tree.
        connection.execute(sa.text(f"comment on table {version_table(schema)} is '{RELEASE}{VERSION}'"))


def _ahead(migrations: Migrations, state: State) -> bool:
    try:
        return migrations.judge(state)
    except NotReady:
        return False
