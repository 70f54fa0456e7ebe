"""`python -m deploy.database_roles [--alone]`: a role per service in Postgres, which owns its schemas only.

Reads ADMIN_DATABASE_URL, of a role that may make roles and owns what is there, and the URLs of the services
(AUTH_DATABASE_URL and so on), whose users and passwords it makes. Idempotent, on an empty database and on one in which
a single role owned everything: that one goes on working, so that replicas are given their new URLs one after the other,
until --alone takes it the rights to what it does not own any more.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import asyncpg

# What belongs to each service.
SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "auth": ("auth",),
    "grid": ("grid", "grid_partitions"),
    "deploy": ("deploy", "deploy_partitions"),
    "vault": ("vault",),
}
ADMIN = "ADMIN_DATABASE_URL"
_ATTEMPTS, _PAUSE_SECONDS = 15, 1.0

# Tables bring their indexes and the sequences of their columns along.
_OWNED = """
select case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end as kind,
       format('%I.%I', n.nspname, c.relname) as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'S') and c.relowner <> $2::text::regrole
  and not exists (select from pg_depend d where d.objid = c.oid and c.relkind = 'S' and d.deptype in ('a', 'i'))
union all
select 'routine', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any($1) and p.proowner <> $2::text::regrole
"""
_OWNERS = """
select distinct r.rolname from pg_namespace n join pg_roles r on r.oid = n.nspowner
where n.nspname = any($1) and r.rolname <> $2 and not r.rolsuper
"""
_MEMBERS = """
select m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
where r.rolname = $1 and m.rolname <> current_user
"""


def variable(service: str) -> str:
    """Where a service's URL stands."""
    return f"{service.upper()}_DATABASE_URL"


async def separate(admin: str, urls: Mapping[str, str], *, alone: bool = False) -> None:
    """Make the role of each service that has a URL, and give it what is the service's. Raises ValueError for two
    services with one role, or one that is the administrator's, and asyncpg's errors."""
    connection = await asyncpg.connect(admin, timeout=10, target_session_attrs="read-write")
    try:
        roles = {service: _user(service, url) for service, url in urls.items()}
        current = await connection.fetchval("select current_user")
        if len({*roles.values(), current}) <= len(roles):
            raise ValueError(f"{ADMIN} and each service need a user of their own: {', '.join(sorted(roles.values()))}")
        await connection.execute("set lock_timeout = '2s'")
        await connection.execute("revoke create on schema public from public")
        for service, role in roles.items():
            await _make(connection, role, unquote(urlsplit(urls[service]).password or ""))
            # Migrations and a restore make the schemas that are not there.
            database = await connection.fetchval("select current_database()")
            await _run(connection, "grant create on database %I to %I", database, role)
            await _give(connection, role, SCHEMAS[service])
            if alone:
                for row in await connection.fetch(_MEMBERS, role):
                    await _run(connection, "revoke %I from %I", role, row["rolname"])
    finally:
        await connection.close()


async def _make(connection: asyncpg.Connection, role: str, password: str) -> None:
    if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
        await _run(connection, "create role %I login", role)
    # Who is no superuser may give things to those only that it could be itself.
    if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        await _run(connection, "grant %I to current_user", role)
    if password:
        await _run(connection, "alter role %I login password %L", role, password)


async def _give(connection: asyncpg.Connection, role: str, schemas: tuple[str, ...]) -> None:
    """A table that somebody works with is waited for, shortly and again, as those who come after it wait behind."""
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await _give_all(connection, role, schemas)
            return
        except asyncpg.LockNotAvailableError:
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


async def _give_all(connection: asyncpg.Connection, role: str, schemas: tuple[str, ...]) -> None:
    for row in await connection.fetch(_OWNERS, schemas, role):
        if row["rolname"] != await connection.fetchval("select current_user"):
            await _run(connection, "grant %I to %I", role, row["rolname"])
    for schema in schemas:
        await _run(connection, "create schema if not exists %I", schema)
        await _run(connection, "alter schema %I owner to %I", schema, role)
    for row in await connection.fetch(_OWNED, schemas, role):
        await _run(connection, f"alter {row['kind']} {row['name'].replace('%', '%%')} owner to %I", role)


async def _run(connection: asyncpg.Connection, statement: str, *values: str) -> None:
    """Statements about roles and schemas take no parameters: the server itself puts the names in."""
    places = ", ".join(f"${number}::text" for number in range(2, len(values) + 2))
    await connection.execute(await connection.fetchval(f"select format($1::text, {places})", statement, *values))


def _user(service: str, url: str) -> str:
    user = unquote(urlsplit(url).username or "")
    if not user:
        raise ValueError(f"{variable(service)} names no user")
    return user


def main(arguments: list[str]) -> int:
    """Returns 0, or 1 with the reason on stderr; what was given before it stays given."""
    admin, urls = os.environ.get(ADMIN, ""), {name: os.environ.get(variable(name), "") for name in SCHEMAS}
    missing = [name for name in (ADMIN, *map(variable, SCHEMAS)) if not os.environ.get(name)]
    if missing or arguments not in ([], ["--alone"]):
        sys.stderr.write(f"database-roles: {', '.join(missing) or ' '.join(arguments)}\n{__doc__}\n")
        return 2
    try:
        asyncio.run(separate(admin, urls, alone=bool(arguments)))
    except (ValueError, OSError, TimeoutError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"database-roles: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
