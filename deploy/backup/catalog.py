"""What the catalogue of Postgres says about the tables of a schema."""

from collections.abc import Sequence
from graphlib import TopologicalSorter

from asyncpg import Connection

_TABLES = """
    select c.relname as name, c.relkind = 'p' as history, (
        select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ) as columns
    from pg_class c
    where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> 'alembic_version'
"""
_USED = """
    select distinct n.nspname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any($1)
"""
_REFERENCES = """
    select distinct c.conrelid::regclass::text as one, c.confrelid::regclass::text as other
    from pg_constraint c where c.contype = 'f' and c.connamespace = $1::regnamespace and c.conrelid <> c.confrelid
"""
_COUNTERS = """
    select a.attname::text as column, pg_get_serial_sequence($1, a.attname) as sequence
    from pg_attribute a
    where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
      and pg_get_serial_sequence($1, a.attname) is not null
"""


async def used(connection: Connection, schemas: Sequence[str]) -> set[str]:
    """Those of the schemas in which there is something; whoever makes roles makes empty ones for them."""
    return {row["name"] for row in await connection.fetch(_USED, schemas)}


async def tables(connection: Connection, schema: str) -> dict[str, list[str]]:
    """The columns that can be written by table; what others refer to comes first."""
    found = {row["name"]: row["columns"] for row in await connection.fetch(_TABLES, schema)}
    after: dict[str, set[str]] = {name: set() for name in sorted(found)}
    for row in await connection.fetch(_REFERENCES, schema):
        after[_bare(row["one"])].add(_bare(row["other"]))
    return {name: found[name] for name in TopologicalSorter(after).static_order()}


async def history(connection: Connection, schema: str) -> set[str]:
    """The tables that only tell what was: logs, events and samples, which are partitioned by day."""
    return {row["name"] for row in await connection.fetch(_TABLES, schema) if row["history"]}


async def counters(connection: Connection, table: str) -> dict[str, str]:
    """The sequence behind each column that counts by itself; `table` with its schema."""
    return {row["column"]: row["sequence"] for row in await connection.fetch(_COUNTERS, table)}


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
