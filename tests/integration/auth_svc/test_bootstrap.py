"""The first start, the next ones, and several at once."""

import asyncio
from functools import partial

import asyncpg

from services.auth_svc.app import build
from services.auth_svc.store.tables import metadata
from services.kernel.migrations import drift
from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.auth_svc.conftest import INITIAL_CODE, MakeSettings
from tests.support.postgres import empty_tables
from tests.support.running import Running, running


async def test_migrations_make_the_tables(auth_url: str) -> None:
    assert await drift(auth_url, metadata) == []


async def test_the_initial_code_logs_in_as_master_admin(anonymous: AuthClient) -> None:
    reply = await anonymous.redeem(INITIAL_CODE)
    assert reply.status == 200
    assert reply.json["scopes"] == "user,owner"
    assert reply.json["server"] == {"name": "m1"}
    assert "expires_in" not in reply.json
    assert "refresh_token" not in reply.json
    user = await anonymous.with_token(reply.json["access_token"]).user()
    assert (user.email, user.name) == ("admin", "admin")
    assert [(role.name, role.description) for role in user.roles] == [("master_admin", "Master admin")]


async def test_all_roles_exist(auth_url: str) -> None:
    connection = await asyncpg.connect(auth_url)
    names = [row["name"] for row in await connection.fetch("select name from auth.roles order by name")]
    await connection.close()
    assert names == ["grid_admin", "master_admin", "user_admin", "viewer"]


async def test_a_restart_does_not_bring_a_used_code_back(auth: Running, anonymous: AuthClient) -> None:
    assert (await anonymous.redeem(INITIAL_CODE)).status == 200
    await auth.app.begin()
    assert (await anonymous.redeem(INITIAL_CODE)).status == 400


async def test_what_was_removed_from_the_configuration_stays_removed_while_it_serves(
    auth: Running, auth_url: str
) -> None:
    """It is asked every few seconds whether it is ready; only a start adds what is missing."""
    connection = await asyncpg.connect(auth_url)
    await connection.execute("delete from auth.config")
    await connection.close()
    await auth.app.ready()
    assert await _count(auth_url, "config") == 0
    await auth.app.begin()
    assert await _count(auth_url, "config") > 0


async def test_a_changed_initial_code_is_not_a_second_one(auth_settings: MakeSettings, anonymous: AuthClient) -> None:
    async with running(partial(build, auth_settings(initial_admin_code="another-initial-code"))):
        assert (await anonymous.redeem("another-initial-code")).status == 400
        assert (await anonymous.redeem(INITIAL_CODE)).status == 200


async def test_without_an_initial_code_nobody_can_log_in(auth_settings: MakeSettings, auth_url: str) -> None:
    await empty_tables(auth_url, "auth")
    async with running(partial(build, auth_settings(initial_admin_code=None))):
        assert await _count(auth_url, "access_tokens") == 0
        assert await _count(auth_url, "users") == 1


async def test_replicas_that_start_at_once_make_one_admin_and_one_code(
    auth_settings: MakeSettings, auth_url: str
) -> None:
    await empty_tables(auth_url, "auth")
    replicas = [await build(auth_settings()) for _ in range(5)]
    await asyncio.gather(*(replica.begin() for replica in replicas))
    for replica in replicas:
        await replica.close()
    assert await _count(auth_url, "access_tokens") == 1
    assert await _count(auth_url, "users") == 1


async def _count(url: str, table: str) -> int:
    connection = await asyncpg.connect(url)
    count: int = await connection.fetchval(f"select count(*) from auth.{table}")  # noqa: S608 -- table names of ours.
    await connection.close()
    return count
