"""/oauth2/tokens and GET /v1/user."""

from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from services.auth_svc.loops.ended_tokens import forget_ended_tokens
from services.auth_svc.usecases.access_tokens import AccessTokens
from services.auth_svc.usecases.administration import Administration
from services.auth_svc.usecases.minting import Mint
from services.kernel.db import Database
from services.kernel.principal import Principal
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.conftest import INITIAL_CODE
from tests.support.eventually import eventually
from tests.support.leaks import dump
from tests.support.statements import prepared_of, statements_of

TOKEN = {"response_type": "token", "scope": "user"}


async def test_own_tokens_are_listed_oldest_first_without_values(admin: AuthClient) -> None:
    made = [(await admin.authorize(TOKEN | {"description": str(n)})).json for n in range(3)]
    code = (await admin.authorize({"response_type": "code", "scope": "user"})).json
    listed = await admin.tokens()
    # First come the code of the installation and the token of this client.
    assert [token.id for token in listed[2:]] == [*(token["id"] for token in made), code["id"]]
    assert {token.user.email for token in listed} == {"admin"}
    for token in listed:
        assert (token.access_token, token.refresh_token, token.code) == ("", "", "")
    assert listed[2].access_token_last_four == made[0]["access_token"][-4:]
    assert listed[-1].grant_type == "authorization_code"


async def test_used_codes_and_refreshed_tokens_are_gone_from_the_list(admin: AuthClient, anonymous: AuthClient) -> None:
    assert len(await admin.tokens()) == 2
    await anonymous.redeem(INITIAL_CODE)
    assert len(await admin.tokens()) == 2
    expiring = (await admin.authorize(TOKEN | {"expires_in": 60})).json
    refreshed = (await anonymous.refresh(expiring["refresh_token"])).json
    ids = {token.id for token in await admin.tokens()}
    assert refreshed["id"] in ids
    assert expiring["id"] not in ids


async def test_a_token_is_found_by_id_and_by_value(admin: AuthClient) -> None:
    made = (await admin.authorize(TOKEN)).json
    assert (await admin.get_token(made["id"])).id == made["id"]
    assert (await admin.get_token(made["access_token"])).id == made["id"]


@pytest.mark.parametrize("name", ["0" * 24, "no-such-token", "\u0000", "%00", "a" * 5000])
async def test_unknown_tokens_are_not_found(admin: AuthClient, name: str) -> None:
    assert await refused(admin.get_token(name)) == (404, {"error": "Not found"})
    assert await refused(admin.delete_token(name)) == (404, {"error": "Not found"})


async def test_tokens_of_others_are_for_administrators(admin: AuthClient, bob: AuthClient) -> None:
    foreign = (await admin.authorize(TOKEN)).json
    for call in (bob.get_token(foreign["id"]), bob.delete_token(foreign["access_token"])):
        status, body = await refused(call)
        assert (status, body["error"]) == (403, "access_denied")
    own = (await bob.authorize(TOKEN)).json
    assert (await admin.get_token(own["id"])).user.email == "bob@x.org"
    await admin.delete_token(own["access_token"])
    assert not await bob.with_token(own["access_token"]).works()


async def test_a_deleted_token_is_refused_at_once_and_cannot_be_refreshed(
    admin: AuthClient, anonymous: AuthClient
) -> None:
    made = (await admin.authorize(TOKEN | {"expires_in": 60})).json
    client = anonymous.with_token(made["access_token"])
    await client.delete_token(made["access_token"])
    assert await refused(client.user()) == (
        401,
        {"error": "invalid_token", "error_description": "Invalid token"},
    )
    assert (await anonymous.refresh(made["refresh_token"])).status == 400


async def test_a_deleted_code_cannot_be_used(admin: AuthClient, anonymous: AuthClient) -> None:
    made = (await admin.authorize({"response_type": "code", "scope": "user"})).json
    await admin.delete_token(made["id"])
    assert (await anonymous.redeem(made["code"])).status == 400


async def test_an_expired_token_says_so(admin: AuthClient, auth_url: str) -> None:
    made = (await admin.authorize(TOKEN | {"expires_in": 60})).json
    await _execute(
        auth_url, "update auth.access_tokens set expires_at = now() - interval '9 s' where id = $1", made["id"]
    )
    assert await refused(admin.with_token(made["access_token"]).user()) == (
        401,
        {"error": "invalid_token", "error_description": "Token expired"},
    )
    assert (await admin.get_token(made["id"])).expires_in < 0


@pytest.mark.parametrize("token", ["unknown", "\u20ac", "x" * 5000])
async def test_unknown_tokens_are_refused(anonymous: AuthClient, token: str) -> None:
    assert not await anonymous.with_token(token.encode("ascii", "ignore").decode() or "-").works()


async def test_a_refresh_token_or_code_is_no_access_token(admin: AuthClient, anonymous: AuthClient) -> None:
    made = (await admin.authorize(TOKEN | {"expires_in": 60})).json
    assert not await anonymous.with_token(made["refresh_token"]).works()
    assert not await anonymous.with_token(INITIAL_CODE).works()


async def test_the_current_user_has_roles(offline: Administration, admin: AuthClient) -> None:
    await offline.create_user("eve@x.org", ["user_admin", "grid_admin"])
    eve = admin.with_token(await offline.create_token("eve@x.org", "user", "0"))
    user = await eve.user()
    assert not user.HasField("name")
    assert [(role.name, role.description) for role in user.roles] == [
        ("grid_admin", "Grid admin"),
        ("user_admin", "Invite and remove users"),
    ]


async def test_the_e_mail_admin_counts_as_master_admin(auth_url: str, admin: AuthClient, bob: AuthClient) -> None:
    await _execute(auth_url, "delete from auth.user_roles")
    assert (await admin.authorize(TOKEN | {"user": "bob@x.org"})).status == 201


async def test_only_digests_are_at_rest(
    admin: AuthClient, anonymous: AuthClient, auth_url: str, bob: AuthClient
) -> None:
    values = [INITIAL_CODE]
    for body in (TOKEN, TOKEN | {"expires_in": 60}, {"response_type": "code", "scope": "user", "expires_in": 60}):
        made = (await admin.authorize(body)).json
        values += [made[key] for key in ("access_token", "refresh_token", "code") if key in made]
    exchanged = (await anonymous.redeem(values[-1])).json
    refreshed = (await anonymous.refresh(exchanged["refresh_token"])).json
    values += [reply[key] for reply in (exchanged, refreshed) for key in ("access_token", "refresh_token")]
    await anonymous.refresh(exchanged["refresh_token"])
    stored = await dump(auth_url, "auth")
    assert len(values) == 9
    assert "master_admin" in stored
    for value in values:
        assert value not in stored
        assert value.encode().hex() not in stored
        assert bytes.fromhex(value).hex() not in stored if value != INITIAL_CODE else True


async def test_a_token_is_shown_with_two_prepared_statements(admin: AuthClient) -> None:
    made = (await admin.authorize(TOKEN)).json
    with statements_of("GetAccessToken") as others, prepared_of("GetAccessToken") as prepared:
        shown = await admin.get_token(made["id"])
    assert shown.server.name == made["server"]["name"] == "m1"
    assert len(prepared) == 2, "who asks, and the token with the name of the server"
    assert others == []


async def test_a_list_takes_one_query_however_long(auth_url: str, admin: AuthClient) -> None:
    db = Database(auth_url, pool_size=1)
    tokens = AccessTokens(db, Mint(b"k" * 32))
    owner = Principal(kind="user", user_id=(await admin.user()).id)
    counts = []
    for more in (1, 20):
        for _ in range(more):
            await admin.authorize(TOKEN)
        statements: list[str] = []

        def count(_c: Any, _cursor: Any, statement: str, *_: Any, seen: list[str] = statements) -> None:
            seen.append(statement)

        sa.event.listen(db.engine.sync_engine, "before_cursor_execute", count)
        await tokens.list_own(owner)
        sa.event.remove(db.engine.sync_engine, "before_cursor_execute", count)
        counts.append(len(statements))
    await db.close()
    assert counts == [1, 1]


async def test_ended_tokens_are_forgotten_after_a_while(auth_url: str, admin: AuthClient) -> None:
    old = (await admin.authorize(TOKEN)).json["id"]
    recent = (await admin.authorize(TOKEN)).json["id"]
    for token_id in (old, recent):
        await admin.delete_token(token_id)
    await _execute(auth_url, "update auth.access_tokens set revoked_at = now() - interval '31 days' where id = $1", old)
    db = Database(auth_url, pool_size=1)
    await forget_ended_tokens(db)
    await db.close()
    stored = await dump(auth_url, "auth")
    assert f"access_tokens: ({recent}," in stored
    assert f"access_tokens: ({old}," not in stored
    assert await admin.works()


async def test_mutations_reach_the_audit_log(admin: AuthClient, anonymous: AuthClient, auth_url: str) -> None:
    made = (await admin.authorize(TOKEN | {"expires_in": 60})).json
    refreshed = (await anonymous.refresh(made["refresh_token"])).json
    await admin.delete_token(refreshed["id"])
    expected = {
        ("create", made["id"], "admin"),
        ("refresh", refreshed["id"], "admin"),
        ("delete", refreshed["id"], "admin"),
    }

    async def logged() -> bool:
        connection = await asyncpg.connect(auth_url)
        rows = await connection.fetch("select * from auth.audit_logs where resource_type = 'AccessToken'")
        waiting = await connection.fetchval("select count(*) from auth.outbox")
        await connection.close()
        assert expected <= {(row["event_name"], row["resource_id"], row["user_email"]) for row in rows}
        return bool(waiting == 0)

    await eventually(logged, message="the outbox is delivered")


async def _execute(url: str, query: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(query, *arguments)
    await connection.close()
