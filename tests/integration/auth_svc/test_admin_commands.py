"""`python -m services.auth_svc ...` as an operator runs it, beside a running service."""

import asyncio
import getpass
import os
import sys

import pytest
import sqlalchemy as sa

from services.auth_svc import admin
from services.auth_svc.store import tables
from services.auth_svc.usecases.administration import Administration
from services.kernel.db import Database
from services.kernel.errors import DomainError
from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.auth_svc.conftest import INITIAL_CODE
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET

pytestmark = pytest.mark.slow


async def _run(url: str, *arguments: str, **changed: str) -> tuple[int, str, str]:
    environment = {**os.environ, "DATABASE_URL": url, "CLUSTER_SECRET": CLUSTER_SECRET, **changed}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.auth_svc",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def _perform(offline: Administration, *arguments: str) -> list[str]:
    return await admin.perform(offline, admin.parser().parse_args(arguments))


async def test_reset_code_adds_a_code_and_leaves_the_rest(
    offline: Administration, anonymous: AuthClient, bob: AuthClient
) -> None:
    [code] = await _perform(offline, "reset-code")
    reply = await anonymous.redeem(code)
    assert (reply.status, reply.json["scopes"]) == (200, "user,owner")
    assert await bob.works()
    assert (await anonymous.redeem(INITIAL_CODE)).status == 200


async def test_create_token_gives_a_token_that_works(offline: Administration, anonymous: AuthClient) -> None:
    arguments = ("create-token", "--user", "admin", "--scope", "user", "--expires-in", "0")
    [token] = await _perform(offline, *arguments)
    client = anonymous.with_token(token)
    assert (await client.user()).email == "admin"
    assert not (await client.get_token(token)).HasField("expires_in")


async def test_accounts_are_made_and_listed(offline: Administration) -> None:
    arguments = ("--email", "eve@x.org", "--role", "user_admin", "--role", "viewer", "--grid", "alpha")
    [user_id] = await _perform(offline, "create-user", *arguments)
    first, second = await _perform(offline, "list-users")
    assert first.split("\t")[1:] == ["admin", "master_admin"]
    assert second == f"{user_id}\teve@x.org\tuser_admin,viewer"


async def test_a_mistake_is_explained_and_nothing_else_is_printed(auth_url: str) -> None:
    status, out, err = await _run(auth_url, "admin", "create-token", "--user", "nobody@x.org")
    assert (status, out, err) == (1, "", "There is no user nobody@x.org\n")


async def test_what_is_wrong_with_the_surroundings_is_explained(empty_url: str) -> None:
    nowhere = "postgresql://x@127.0.0.1:1/x"
    texts = {
        "The database does not answer. Try again in a moment.\n": {"DATABASE_URL": nowhere},
        "Missing or wrong in the environment: CLUSTER_SECRET\n": {"CLUSTER_SECRET": ""},
        "The database has no tables yet: run python -m services.auth_svc migrate\n": {},
    }
    runs = (_run(empty_url, "admin", "list-users", **environment) for environment in texts.values())
    assert await asyncio.gather(*runs) == [(1, "", text) for text in texts]


async def test_members_are_made_of_grids_that_exist_only(offline: Administration, auth_url: str) -> None:
    arguments = ("create-user", "--email", "eve@x.org", "--grid")
    with pytest.raises(DomainError, match="There is no grid gamma"):
        await _perform(offline, *arguments, "gamma")
    status, out, err = await _run(auth_url, "admin", *arguments, "alpha", GRID_ADDRESS="127.0.0.1:1")
    assert (status, out) == (1, "")
    assert "GRID_ADDRESS" in err
    assert [user.email for user in await offline.list_users()] == ["admin"]


async def test_the_audit_log_says_who_ran_a_command(auth_url: str) -> None:
    status, _, _ = await _run(auth_url, "admin", "create-user", "--email", "eve@x.org", SUDO_USER="carol")
    assert status == 0
    db = Database(auth_url)
    async with db.read() as tx:
        payloads = (await tx.execute(sa.select(tables.outbox.table.c.payload))).scalars().all()
        stored = (await tx.execute(sa.text("select user_agent from auth.audit_logs"))).scalars().all()
    await db.close()
    agents = [payload["user_agent"] for payload in payloads] + list(stored)
    assert f"auth_svc admin create-user, run by carol as {getpass.getuser()}" in agents


async def test_rules_of_new_accounts(offline: Administration) -> None:
    await offline.create_user("eve@x.org")
    for email, roles, grids, text in (
        ("eve@x.org", [], [], "already exists"),
        ("bob@x.org", ["king"], [], "Role 'king' not found"),
        ("bob@x.org", [], ["demo"], "Grid Id isn't in the right format"),
    ):
        with pytest.raises(DomainError, match=text):
            await offline.create_user(email, roles, grids)
    assert [user.email for user in await offline.list_users()] == ["admin", "eve@x.org"]


@pytest.fixture
def empty_url(postgres: TestPostgres) -> str:
    return postgres.database()


async def test_migrate_makes_the_commands_work(empty_url: str) -> None:
    status, out, _ = await _run(empty_url, "migrate")
    assert (status, out) == (0, "")
    status, code, err = await _run(empty_url, "admin", "reset-code")
    assert (status, err) == (0, "")
    assert len(code) == 33
