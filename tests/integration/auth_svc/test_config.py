"""Server configuration: secrets at rest, seeding, what a change does."""

from functools import partial
from typing import Any

import asyncpg
import pytest
from google.protobuf.json_format import MessageToDict

from kontena.auth.v1 import config_pb2 as pb
from kontena.auth.v1.config_pb2_grpc import ConfigServiceStub
from services.auth_svc.admin import parser, perform
from services.auth_svc.app import administration, build
from services.kernel.errors import Unavailable
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.conftest import MakeSettings
from tests.support.running import Running, running

SECRET = "SENTINEL-of-a-secret"


async def show(client: AuthClient, pattern: str = "") -> dict[str, Any]:
    return MessageToDict(await client.call(ConfigServiceStub, "GetConfig", pb.GetConfigRequest(filter=pattern)))


async def replace(client: AuthClient, values: dict[str, Any]) -> None:
    request = pb.ReplaceConfigRequest()
    request.values.update(values)
    await client.call(ConfigServiceStub, "ReplaceConfig", request)


async def stored(url: str) -> dict[str, Any]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select * from auth.config")
    await connection.close()
    return {row["key"]: row for row in rows}


async def test_values_keep_their_json(admin: AuthClient) -> None:
    values = {"a": {"b": [1, 2.5, None, True, "x", {}]}, "c": [], "d": False, "e": 0, "f": "", "g_secret": {"h": ["i"]}}
    await replace(admin, values)
    assert await show(admin) == values
    await admin.configure({"a": None, "c": "now text"})
    assert await show(admin) == {key: value for key, value in values.items() if key != "a"} | {"c": "now text"}


async def test_filters(admin: AuthClient) -> None:
    await replace(admin, {"oauth2.a": 1, "x.oauth2.b": 2, "oauth2_%": 3})
    assert set(await show(admin, "oauth2.*")) == {"oauth2.a"}
    assert set(await show(admin, "oauth2.")) == {"oauth2.a", "x.oauth2.b"}
    assert set(await show(admin, "_%")) == {"oauth2_%"}
    assert set(await show(admin, "*")) == {"oauth2.a", "x.oauth2.b", "oauth2_%"}
    assert await show(admin, "[o") == {}


async def test_secrets_are_encrypted_at_rest_and_bound_to_their_key(admin: AuthClient, auth_url: str) -> None:
    await admin.configure({"oauth2.client_secret": SECRET, "other_secret": "x", "plain": SECRET[:0] + "y"})
    rows = await stored(auth_url)
    assert rows["oauth2.client_secret"]["value"] is None
    assert SECRET.encode() not in rows["oauth2.client_secret"]["sealed"]
    assert rows["plain"]["sealed"] is None
    connection = await asyncpg.connect(auth_url)
    await connection.execute(
        "update auth.config set sealed = $1 where key = 'other_secret'", rows["oauth2.client_secret"]["sealed"]
    )
    await connection.close()
    status, body = await refused(show(admin))
    assert status == 503
    assert "other_secret" in body["error"]
    await admin.configure({"other_secret": "z"})
    assert (await show(admin))["other_secret"] == "z"


async def test_a_new_vault_key_still_opens_old_values(
    admin: AuthClient, auth: Running, auth_settings: MakeSettings
) -> None:
    await admin.configure({"old_secret": SECRET})
    settings = auth_settings(vault_key="a new key of the vault")
    async with running(partial(build, settings)) as other:
        client = AuthClient(other.channel, next(iter(dict(admin._metadata).values())).removeprefix("Bearer "))
        assert (await show(client))["old_secret"] == SECRET
        await client.configure({"new_secret": "sealed with the new key"})
    status, body = await refused(show(admin))
    assert (status, "new_secret" in body["error"]) == (503, True)


async def test_rotated_values_need_no_old_key(admin: AuthClient, auth_settings: MakeSettings, auth_url: str) -> None:
    await admin.configure({"old_secret": SECRET, "plain": "y"})
    before = await stored(auth_url)
    new, newest = "a new key of the vault", "the newest key of the vault"
    async with administration(auth_settings(vault_key=new)) as offline:
        assert await perform(offline, parser().parse_args(["rotate-keys"])) != []
    # The keys of before, CLUSTER_SECRET among them, are not needed any more.
    settings = auth_settings(vault_key=newest, vault_old_keys=new, cluster_secret="another cluster secret")
    async with administration(settings) as offline:
        await offline.rotate_keys()
        await offline.rotate_keys()
    after = await stored(auth_url)
    assert before["old_secret"]["sealed"] != after["old_secret"]["sealed"]
    assert before["plain"] == after["plain"]
    async with administration(auth_settings()) as offline:
        with pytest.raises(Unavailable, match="values do not open"):
            await offline.rotate_keys()
    assert await stored(auth_url) == after


async def test_each_start_sets_what_is_not_set(auth_settings: MakeSettings, admin: AuthClient, auth_url: str) -> None:
    first = await show(admin)
    assert first["server.name"] == "m1"
    assert first["cloud.enabled"] == "true"
    assert first["oauth2.code_requires_basic_auth"] is False
    await admin.configure({"server.name": "mine", "cloud.enabled": None})
    settings = auth_settings(auth_client_id="from-env", auth_client_secret=SECRET, auth_ignore_invalid_ssl="true")
    async with running(partial(build, settings)):
        pass
    second = await show(admin)
    assert second["server.uuid"] == first["server.uuid"]
    assert (second["server.name"], second["cloud.enabled"]) == ("mine", "true")
    assert (second["oauth2.client_id"], second["oauth2.client_secret"]) == ("from-env", SECRET)
    # A boolean that was set at the first start is set.
    assert second["oauth2.ignore_invalid_ssl"] is False
    assert SECRET.encode() not in (await stored(auth_url))["oauth2.client_secret"]["sealed"]


async def test_the_name_of_the_server_is_read_live(admin: AuthClient) -> None:
    await admin.configure({"server.name": "renamed"})
    reply = await admin.authorize({"response_type": "token", "scope": "user"})
    assert reply.json["server"] == {"name": "renamed"}
    await admin.configure({"server.name": 7})
    assert (await admin.tokens())[0].server.HasField("name") is False


async def test_nothing_changes_when_a_value_is_refused(admin: AuthClient) -> None:
    before = await show(admin)
    assert (await refused(replace(admin, {"good": 1, "bad": "\0"})))[0] == 422
    assert (await refused(replace(admin, {"good": 1, "bad": {"deep": [float("nan")]}})))[0] == 422
    assert await show(admin) == before


async def test_others_are_refused(bob: AuthClient) -> None:
    assert (await refused(show(bob)))[0] == 403
    assert (await refused(replace(bob, {"\0": 1})))[0] == 403
