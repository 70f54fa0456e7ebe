"""Reads an installation out of its database, as it was at one moment."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

import asyncpg
from asyncpg import Connection

from deploy.backup import catalog
from deploy.backup.installation import schemas
from deploy.backup.records import End, Manifest, RecordWriter, Table
from services.kernel.postgres import connect
from services.kernel.version import VERSION

# Rows may be read for long, but a database that hangs ends it.
_SECONDS = 3600.0


async def dump(urls: Mapping[str, str], keys: dict[str, str], out: RecordWriter, *, history: bool = True) -> End:
    """Write all that the services in `urls` have; they may run meanwhile. No log, event or sample without `history`."""
    async with _snapshots(urls) as connections:
        revisions = {name: await _revision(connection, name) for name, connection in connections.items()}
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        out.manifest(Manifest(VERSION, moment, revisions, keys, history))
        rows = {}
        for service, connection in connections.items():
            schema, _partitions = schemas(service)
            left_out = set() if history else await catalog.history(connection, schema)
            for name, columns in (await catalog.tables(connection, schema)).items():
                table = Table(service, name, columns, await _identities(connection, f"{schema}.{name}"))
                out.table(table)
                rows[table.full_name] = 0 if name in left_out else await _copy(connection, table, out)
        end = End(rows)
        out.end(end)
        return end


async def _copy(connection: Connection, table: Table, out: RecordWriter) -> int:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    # A partitioned table can be read as a query only.
    query = f'select {columns} from "{table.service}"."{table.name}"'  # noqa: S608 -- names of the catalogue.
    done = await connection.copy_from_query(query, output=out.rows, timeout=_SECONDS)
    return int(done.removeprefix("COPY "))


async def _identities(connection: Connection, table: str) -> dict[str, int | None]:
    found = {}
    for column, sequence in (await catalog.counters(connection, table)).items():
        row = await connection.fetchrow(f"select last_value, is_called from {sequence}")  # noqa: S608 -- as above.
        found[column] = row["last_value"] if row["is_called"] else None
    return found


async def _revision(connection: Connection, service: str) -> str:
    return str(await connection.fetchval(f'select version_num from "{service}".alembic_version'))  # noqa: S608


@asynccontextmanager
async def _snapshots(urls: Mapping[str, str]) -> AsyncIterator[dict[str, Connection]]:
    """A connection for each service, all of which see the same moment where they are of one database."""
    async with AsyncExitStack() as opened:
        exported: list[str] = []
        found = {}
        for service, url in urls.items():
            connection = await connect(url)
            opened.push_async_callback(connection.close)
            if not await _joined(connection, exported):
                await connection.execute("begin isolation level repeatable read read only")
                exported.append(await connection.fetchval("select pg_export_snapshot()"))
            found[service] = connection
        yield found


async def _joined(connection: Connection, exported: list[str]) -> bool:
    """Whether the connection sees one of the moments: those of other databases are unknown to it."""
    for snapshot in exported:
        with suppress(asyncpg.PostgresError):
            await connection.execute("begin isolation level repeatable read read only")
            await connection.execute(f"set transaction snapshot '{snapshot}'")
            return True
        await connection.execute("rollback")
    return False
