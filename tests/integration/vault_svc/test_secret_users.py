from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg
import pytest

from services.clients.grids import Grid
from services.clients.vault_users import VaultUsers
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.vault_svc.app import build
from services.vault_svc.usecases import usage
from services.vault_svc.usecases.usage import Redeploys, SecretUsers
from tests.integration.vault_svc.caller import Answer, Caller
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.stand_ins import ALPHA, Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, running

_PROBE = "PROBE"


async def test_answers_name_the_services_that_use_a_secret(member: Caller, vault_neighbours: Neighbours) -> None:
    vault_neighbours.deploy.users = {"A": ["alpha/null/web", "alpha/shop/db"], "B": ["alpha/null/web"]}
    for name in ("A", "B", "C"):
        await member.create(name, "v")

    async def shown() -> bool:
        listed = (await member.of_grid()).body.secrets
        assert not any(secret.HasField("services_unknown") for secret in listed)
        return {secret.name: [(one.id, one.name) for one in secret.services] for secret in listed} == {
            "A": [("alpha/null/web", "web"), ("alpha/shop/db", "db")],
            "B": [("alpha/null/web", "web")],
            "C": [],
        }

    await eventually(shown, message="what deploy_svc tells is shown")
    assert [one.id for one in (await member.read("alpha/A")).body.services] == ["alpha/null/web", "alpha/shop/db"]


async def test_members_write_no_secret_of_a_service_that_reaches_the_node(
    member: Caller, callers: Callable[[str | None], Caller], vault_neighbours: Neighbours
) -> None:
    """Where the nodes of the grid are for admins: it would run with what the member wrote."""
    admin = callers("admin")
    deploy, service = vault_neighbours.deploy, "alpha/null/web"
    deploy.users, deploy.host_level = {"A": [service], "B": ["alpha/null/db"]}, {service: "privileged"}
    for name in ("A", "B"):
        await admin.create(name, "1")

    async def refused(write: Awaitable[Answer]) -> bool:
        found = await write
        words = ("secret A", service, "privileged", "host_access of grid alpha is admins")
        return found.status == 403 and all(word in found.body["error"] for word in words)

    assert (await member.update("alpha/A", "3")).status == 200
    vault_neighbours.grids.put(ALPHA, "alpha", host_access="admins")
    try:
        await eventually(lambda: refused(member.update("alpha/A", "3")), message="a member is refused")
        assert await refused(member.put_in_grid("A", "2", upsert=True))
        assert await refused(member.create("A", "2"))
        assert await refused(member.delete("alpha/A"))
        assert (await admin.read("alpha/A")).body.value == "3"
        assert (await member.update("alpha/B", "2")).status == 200
        assert (await admin.update("alpha/A", "4")).status == 200
        deploy.host_level = {}
        assert (await member.update("alpha/A", "5")).status == 200
    finally:
        vault_neighbours.grids.put(ALPHA, "alpha")


async def test_users_are_told_of_a_value_before_its_writer_has_the_answer(
    member: Caller, vault_neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what the writer deploys next would be deployed a second time."""
    monkeypatch.setattr(usage, "_TOLD_SECONDS", 60.0)
    await _used(member, vault_neighbours, "A")
    for number, write in enumerate((member.create("A", "1"), member.update("alpha/A", "2")), start=1):
        await write
        assert _told(vault_neighbours) == ["A"] * number


async def test_of_a_secret_that_nobody_uses_nobody_is_told(
    member: Caller, vault_neighbours: Neighbours, vault_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_TOLD_SECONDS", 60.0)
    await _used(member, vault_neighbours, "used")
    for write in (member.create("A", "1"), member.update("alpha/A", "2"), member.create("used", "1")):
        assert (await write).status in (200, 201)
    assert _told(vault_neighbours) == ["used"]
    connection = await asyncpg.connect(vault_url)
    assert await connection.fetchval("select count(*) from vault.outbox where topic = 'secret_changed'") == 0
    await connection.close()


async def test_each_new_value_is_told_once_and_an_unchanged_one_never(
    member: Caller, vault_neighbours: Neighbours
) -> None:
    await _used(member, vault_neighbours, "A", "B", "last")
    await member.create("A", "1")
    await member.update("alpha/A", "1")
    await member.update("alpha/A", "2")
    await member.update("alpha/B", "1", upsert=True)
    await member.delete("alpha/B")
    await member.create("last", "1")

    async def told() -> bool:
        return "last" in vault_neighbours.deploy.changed.values()

    await eventually(told)
    assert sorted(_told(vault_neighbours)) == ["A", "A", "B", "last"]


async def test_without_deploy_svc_secrets_are_served_and_changes_wait(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, vault_url: str
) -> None:
    async with running(partial(build, vault_settings(deploy_address="127.0.0.1:1"))) as served:
        member = Caller(served.channel, "member")
        assert (await member.create("A", "1")).status == 201
        assert (await member.update("alpha/A", "2")).status == 200
        (listed,) = (await member.of_grid()).body.secrets
        assert (listed.name, listed.services_unknown) == ("A", True)
    connection = await asyncpg.connect(vault_url)
    # Not to wait for the pause after a failed delivery.
    await connection.execute("update vault.outbox set not_before = now()")
    await connection.close()
    async with running(partial(build, vault_settings())):

        async def told() -> bool:
            return len(vault_neighbours.deploy.changed) == 2

        await eventually(told, within=90)


async def test_a_write_that_is_done_is_not_refused_when_the_database_goes_away() -> None:
    db = Database("postgresql://postgres@127.0.0.1:1/postgres")
    channel = ServiceChannel("127.0.0.1:1", ClusterTokens(CLUSTER_SECRET), "vault_svc")
    redeploys = Redeploys(db, SecretUsers(VaultUsers(channel)))
    await redeploys.of_secrets(Grid(ALPHA, "alpha"), "A", "B")
    await redeploys.of_certificate(Grid(ALPHA, "alpha"), "x.test")
    await channel.close()
    await db.close()


async def test_a_removal_tells_which_services_are_left_without(member: Caller, vault_neighbours: Neighbours) -> None:
    vault_neighbours.deploy.users = {"A": ["alpha/null/web", "alpha/shop/db"]}

    async def known() -> bool:
        return len((await member.read("alpha/A")).body.services) == 2

    for name in ("A", "unused"):
        await member.create(name, "1")
        if name == "A":
            await eventually(known, message="it is known who uses it")
        assert (await member.delete(f"alpha/{name}")).status == 200

    async def told() -> bool:
        return ("delete", "unused") in vault_neighbours.audit.seen() and len(vault_neighbours.grid_events.events) > 0

    await eventually(told)
    text = "secret A was removed; services left without it: alpha/null/web, alpha/shop/db"
    assert vault_neighbours.grid_events.seen() == [("secret:delete", 2, text)]


async def _used(member: Caller, neighbours: Neighbours, *names: str) -> None:
    """Services use these secrets, and the vault knows."""
    neighbours.deploy.users = {name: ["alpha/null/web"] for name in (*names, _PROBE)}
    await member.update(f"alpha/{_PROBE}", "1", upsert=True)

    async def known() -> bool:
        return bool((await member.read(f"alpha/{_PROBE}")).body.services)

    await eventually(known, message="it is known who uses what")


def _told(neighbours: Neighbours) -> list[str]:
    return [name for name in neighbours.deploy.changed.values() if name != _PROBE]
