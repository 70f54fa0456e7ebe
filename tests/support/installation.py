"""Everything that the services of an installation keep in their database."""

from typing import Any

import asyncpg

from deploy.backup import catalog
from deploy.backup.installation import SERVICE_SETTINGS


async def contents(url: str) -> dict[str, Any]:
    """All rows by table, and the last values of all counters; two of the same content are equal."""
    connection = await asyncpg.connect(url)
    try:
        found: dict[str, Any] = {}
        for service in SERVICE_SETTINGS:
            for name, columns in (await catalog.tables(connection, service)).items():
                table, names = f"{service}.{name}", ", ".join(columns)
                rows = await connection.fetch(f"select t::text as row from (select {names} from {table}) t")  # noqa: S608
                found[table] = sorted(row["row"] for row in rows)
                for column, sequence in (await catalog.counters(connection, table)).items():
                    found[f"{table}.{column}"] = tuple(
                        await connection.fetchrow(f"select last_value, is_called from {sequence}")  # noqa: S608
                    )
        return found
    finally:
        await connection.close()
