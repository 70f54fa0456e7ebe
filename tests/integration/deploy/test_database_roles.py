"""Each service has a role in Postgres that reaches its own schemas and nothing else, on new and on old databases."""

import asyncio
import itertools
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

import services.auth_svc
import services.grid_svc
import services.vault_svc
from deploy.database_roles import SCHEMAS, separate
from services.auth_svc.store import tables as auth_tables
from services.deploy_svc import app as deploy_app
from services.deploy_svc.settings import Settings as DeploySettings
from services.deploy_svc.store import tables as deploy_tables
from services.grid_svc.store import tables as grid_tables
from services.kernel.migrations import drift, migrate
from services.vault_svc.store import tables as vault_tables
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET

TABLES = {"auth": auth_tables, "grid": grid_tables, "deploy": deploy_tables, "vault": vault_tables}
PACKAGES = {"auth": services.auth_svc, "grid": services.grid_svc, "vault": services.vault_svc}
GRID = (
    "insert into grid.grids (id, name, token, token_digest, initial_size, subnet, supernet, default_affinity,"
    " trusted_subnets) select $1::text, $1::text, '', $1::text::bytea, 1, '', '', '{}', '{}'"
)


class Installation:
    """A database of the test server, with roles that only it has."""

    def __init__(self, postgres: TestPostgres) -> None:
        self.superuser = postgres.database()
        self.mark = uuid.uuid4().hex[:8]
        self.urls = {service: self.url(self.role(service)) for service in SCHEMAS}

    def role(self, name: str) -> str:
        return f"{name}_{self.mark}"

    def url(self, role: str) -> str:
        return re.sub(r"//[^@]*@", f"//{role}:secret-of-{role}@", self.superuser)

    async def run(self, url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def owner(self, options: str = "") -> str:
        """URL of a role that owns the database, as the only one."""
        role, name = self.role("owner"), self.superuser.rpartition("/postgres?")[0] or self.superuser
        database = re.search(r"/(t[0-9a-f]{12})\?", name)
        assert database is not None
        await self.run(
            self.superuser, f"create role {role} login {options}", f"alter database {database[1]} owner to {role}"
        )
        return self.url(role)

    async def migrate(self, url: Callable[[str], str]) -> None:
        """Bring the schema of each service up to date, with the URL for it."""
        for service, package in PACKAGES.items():
            assert package.__file__ is not None
            folder = Path(package.__file__).parent / "migrations"
            await asyncio.to_thread(migrate, url(service), folder, TABLES[service].metadata)
        settings = DeploySettings(database_url=url("deploy"), cluster_secret=SecretStr(CLUSTER_SECRET))
        await asyncio.to_thread(deploy_app.migrate, settings)

    async def tables(self) -> list[tuple[str, str]]:
        """Schema and name of every table of the suite."""
        connection = await asyncpg.connect(self.superuser)
        try:
            schemas = [schema for own in SCHEMAS.values() for schema in own]
            query = "select schemaname, tablename from pg_tables where schemaname = any($1)"
            return [tuple(row) for row in await connection.fetch(query, schemas)]
        finally:
            await connection.close()


@pytest.fixture
def installation(postgres: TestPostgres) -> Installation:
    return Installation(postgres)


async def refused(connection: asyncpg.Connection, statement: str) -> bool:
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def check_each_reaches_its_own_only(installation: Installation) -> None:
    tables = await installation.tables()
    assert len(tables) > 30
    for service, url in installation.urls.items():
        connection = await asyncpg.connect(url)
        try:
            for schema, table in tables:
                own = schema in SCHEMAS[service]
                name = f"{schema}.{table}"
                for statement in (f"select from {name} limit 1", f"delete from {name} where false"):  # noqa: S608
                    assert await refused(connection, statement) is not own, (service, statement)
            for other in set(SCHEMAS) - {service}:
                assert await refused(connection, f"create table {other}.mine (id int)")
                assert await refused(connection, f"set role {installation.role(other)}")
            assert await refused(connection, "create table public.mine (id int)")
        finally:
            await connection.close()


async def test_a_new_database_is_made_by_the_roles_themselves(installation: Installation) -> None:
    """By an administrator that is no superuser, as managed databases have."""
    admin = await installation.owner("createrole")
    await separate(admin, installation.urls)
    await installation.migrate(installation.urls.__getitem__)
    for service, tables in TABLES.items():
        assert await drift(installation.urls[service], tables.metadata) == []
    await separate(admin, installation.urls)
    await check_each_reaches_its_own_only(installation)
    superuser = await asyncpg.connect(installation.superuser)
    for service in SCHEMAS:
        query = "select rolpassword from pg_authid where rolname = $1"
        assert (await superuser.fetchval(query, installation.role(service))).startswith("SCRAM-SHA-256$")
    await superuser.close()


async def test_a_database_of_one_role_goes_on_and_is_taken_over(installation: Installation) -> None:
    owner = await installation.owner()
    await installation.migrate(lambda _service: owner)
    before = await asyncpg.connect(owner)
    await before.execute(GRID, "written-before")
    await separate(installation.superuser, installation.urls)
    await check_each_reaches_its_own_only(installation)
    # Replicas of before, which have one role for all, and new ones, side by side; then migrations of the next release.
    await before.execute(GRID, "written-beside")
    after = await asyncpg.connect(installation.urls["grid"])
    assert {row["id"] for row in await after.fetch("select id from grid.grids")} == {"written-before", "written-beside"}
    await installation.migrate(installation.urls.__getitem__)

    await separate(installation.superuser, installation.urls, alone=True)
    for schema, table in await installation.tables():
        assert await refused(before, f"select from {schema}.{table}")
    await after.execute(GRID, "written-after")
    await before.close()
    await after.close()


async def test_a_table_in_use_delays_the_change_and_stops_nobody(installation: Installation) -> None:
    owner = await installation.owner()
    await installation.migrate(lambda _service: owner)
    busy = await asyncpg.connect(owner)
    transaction = busy.transaction()
    await transaction.start()
    await busy.execute("select 1 from grid.grids")
    change = asyncio.create_task(separate(installation.superuser, installation.urls))
    done, _ = await asyncio.wait({change}, timeout=0.5)
    assert not done
    await transaction.commit()
    await change
    await busy.close()
    await check_each_reaches_its_own_only(installation)


async def test_one_role_for_two_services_is_refused(installation: Installation) -> None:
    both = dict.fromkeys(SCHEMAS, installation.urls["auth"])
    with pytest.raises(ValueError, match="a user of their own"):
        await separate(installation.superuser, both)
    with pytest.raises(ValueError, match="a user of their own"):
        await separate(installation.superuser, {"auth": installation.superuser})


def test_every_schema_is_listed() -> None:
    """A schema that a migration makes, beside that of its service, has an owner."""
    versions = Path(services.auth_svc.__path__[0]).parent.glob("*_svc/migrations/versions/*.py")
    made = set(re.findall(r"create schema (?:if not exists )?(\w+)", "".join(one.read_text() for one in versions)))
    listed = set(itertools.chain.from_iterable(SCHEMAS.values()))
    assert made | {str(tables.metadata.schema) for tables in TABLES.values()} == listed
