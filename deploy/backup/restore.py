"""Writes a backup into a database: all of it or nothing."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from deploy.backup import catalog, installation
from deploy.backup.records import End, Manifest, Record, Table
from deploy.backup.sealed_file import Unreadable
from services.kernel.db import engine_of, raw_connection
from services.kernel.migrations import upgrade
from services.kernel.schema import revisions
from services.kernel.version import VERSION

_SECONDS = 3600.0
_OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and usename is not null and pid <> all($1::int[])
"""
T = TypeVar("T")


class Refused(Exception):
    """Why nothing was restored, and what to do."""


class Reader:
    """The records of a backup, with a look at the next one."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._records = records
        self._next = next(records, None)
        self.manifest = self._take(Manifest)

    def tables(self) -> Iterator[Table]:
        """One after the other; the rows of each are to be read before the next one."""
        while isinstance(self._next, Table):
            yield self._take(Table)

    def rows(self) -> Iterator[bytes]:
        """Those of the table that was read last."""
        while isinstance(self._next, bytes):
            yield self._take(bytes)

    def end(self) -> End:
        """What must have been read."""
        return self._take(End)

    def _take(self, kind: type[T]) -> T:
        record = self._next
        if not isinstance(record, kind):
            raise Unreadable("the backup is damaged: its parts are not in order")
        self._next = next(self._records, None)
        return record


def check_release(manifest: Manifest) -> None:
    """Raises Refused for a backup that this release is too old for."""
    for service, revision in manifest.revisions.items():
        if service not in installation.SERVICE_SETTINGS or revision not in revisions(installation.migrations(service)):
            raise Refused(
                f"the backup was made by release {manifest.release}, whose tables of {service} ({revision}) are newer"
                f" than this release knows; this is {VERSION}: restore with {manifest.release} or later"
            )


def check_keys(manifest: Manifest, here: Mapping[str, str]) -> None:
    """Raises Refused when the services of this place could not read what was restored."""
    decisive = installation.DECISIVE
    others = [name for name in decisive if manifest.keys.get(name, "") != here.get(name, "")]
    if others:
        raise Refused(
            f"{', '.join(others)} here is not as in the backup, so what is in it could not be read:"
            " `restore --keys FILE` prints the settings that belong to it; set them first"
        )


def read_through(reader: Reader) -> End:
    """Read all of a backup without a database. Raises Unreadable."""
    for _table in reader.tables():
        for _rows in reader.rows():
            pass
    return reader.end()


async def restore(reader: Reader, urls: Mapping[str, str], *, replace: bool = False) -> End:
    """Bring everything back into databases in which there is nothing of an installation, or, with `replace`, in place
    of what is there. Raises Unreadable or Refused, and then has changed nothing."""
    check_release(reader.manifest)
    async with _transactions(urls) as connections:
        await _refuse_company(connections)
        for service, connection in connections.items():
            await _make_room(connection, service, replace=replace)
        for service, revision in reader.manifest.revisions.items():
            await _migrate(connections[service], service, revision)
            await _empty(connections[service], service)
        counted = {}
        for table in reader.tables():
            counted[table.full_name] = await _load(connections[table.service], table, reader.rows())
        end = reader.end()
        if counted != end.rows:
            raise Unreadable("the backup is damaged: rows are missing")
        for service in reader.manifest.revisions:
            await _migrate(connections[service], service, "head")
    return end


@asynccontextmanager
async def _transactions(urls: Mapping[str, str]) -> AsyncIterator[dict[str, AsyncConnection]]:
    """One transaction for each database. All commit when the block ends well."""
    async with AsyncExitStack() as opened:
        by_url: dict[str, AsyncConnection] = {}
        for url in sorted(set(urls.values())):
            engine = engine_of(url, poolclass=NullPool, command_timeout=None)
            opened.push_async_callback(engine.dispose)
            by_url[url] = await opened.enter_async_context(engine.begin())
        yield {service: by_url[url] for service, url in urls.items()}


async def _refuse_company(connections: Mapping[str, AsyncConnection]) -> None:
    """Services that run would go on with what they remember of before."""
    raw = [await raw_connection(connection) for connection in set(connections.values())]
    own = [one.get_server_pid() for one in raw]
    others = sum([await one.fetchval(_OTHERS, own) for one in raw])
    if others:
        raise Refused(
            f"others are connected to the database ({others}): first stop all services, and what else uses it"
        )


async def _make_room(connection: AsyncConnection, service: str, *, replace: bool) -> None:
    raw = await raw_connection(connection)
    there = await catalog.used(raw, installation.schemas(service))
    if there and not replace:
        raise Refused(
            f"the database is not empty, it has the schema {min(there)}: take an empty one, or add --replace to have"
            " everything in it replaced"
        )
    for schema in sorted(there):
        await raw.execute(f'drop schema "{schema}" cascade')


async def _migrate(connection: AsyncConnection, service: str, revision: str) -> None:
    await connection.run_sync(upgrade, installation.migrations(service), service, revision)


async def _empty(connection: AsyncConnection, service: str) -> None:
    """Migrations may have written rows of their own, which are in the backup too."""
    raw = await raw_connection(connection)
    names = ", ".join(f'"{service}"."{name}"' for name in await catalog.tables(raw, service))
    await raw.execute(f"truncate {names}")


async def _load(connection: AsyncConnection, table: Table, rows: Iterator[bytes]) -> int:
    raw = await raw_connection(connection)

    async def source() -> AsyncIterator[bytes]:
        for block in rows:
            yield block

    done = await raw.copy_to_table(
        table.name, schema_name=table.service, columns=table.columns, source=source(), timeout=_SECONDS
    )
    for column, value in table.identities.items():
        sequence = (await catalog.counters(raw, table.full_name))[column]
        await raw.execute("select setval($1::regclass, $2, $3)", sequence, value or 1, value is not None)
    return int(done.removeprefix("COPY "))
