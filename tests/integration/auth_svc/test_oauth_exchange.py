"""POST /oauth2/token."""

import asyncio
from urllib.parse import parse_qs

import asyncpg
import pytest

from services.auth_svc.usecases.administration import Administration
from tests.integration.auth_svc.auth_client import FORM, JSON, AuthClient
from tests.integration.auth_svc.conftest import INITIAL_CODE


async def _expiring(admin: AuthClient, seconds: int | str = 7200) -> dict[str, str]:
    reply = await admin.authorize({"response_type": "token", "scope": "user", "expires_in": seconds})
    assert reply.status == 201
    return reply.json


async def test_two_hundred_exchanges_of_one_code_give_one_token(anonymous: AuthClient) -> None:
    replies = await asyncio.gather(*(anonymous.redeem(INITIAL_CODE) for _ in range(200)))
    good = [reply for reply in replies if reply.status == 200]
    assert len(good) == 1
    assert {(reply.status, reply.json.get("error")) for reply in replies if reply not in good} == {
        (400, "invalid_grant")
    }
    assert await anonymous.with_token(good[0].json["access_token"]).works()


async def test_fifty_refreshes_of_one_token_give_one_token_and_end_the_family(
    anonymous: AuthClient, admin: AuthClient
) -> None:
    first = await _expiring(admin)
    replies = await asyncio.gather(*(anonymous.refresh(first["refresh_token"]) for _ in range(50)))
    good = [reply for reply in replies if reply.status == 200]
    assert len(good) == 1
    assert not await anonymous.with_token(good[0].json["access_token"]).works()


async def test_refreshing_replaces_both_values(anonymous: AuthClient, admin: AuthClient) -> None:
    first = await _expiring(admin, 60)
    reply = await anonymous.refresh(first["refresh_token"])
    assert reply.status == 200
    assert reply.json["expires_in"] == 7200
    assert reply.json["refresh_token"] != first["refresh_token"]
    assert not await anonymous.with_token(first["access_token"]).works()
    assert await anonymous.with_token(reply.json["access_token"]).works()


async def test_a_reused_refresh_token_ends_all_that_came_from_it(anonymous: AuthClient, admin: AuthClient) -> None:
    first = await _expiring(admin)
    other = await _expiring(admin)
    second = (await anonymous.refresh(first["refresh_token"])).json
    third = (await anonymous.refresh(second["refresh_token"])).json
    reply = await anonymous.refresh(first["refresh_token"])
    assert (reply.status, reply.json["error"]) == (400, "invalid_grant")
    assert not await anonymous.with_token(third["access_token"]).works()
    assert (await anonymous.refresh(third["refresh_token"])).status == 400
    assert await anonymous.with_token(other["access_token"]).works()


async def test_reuse_while_the_family_is_being_refreshed_leaves_nothing(
    anonymous: AuthClient, admin: AuthClient
) -> None:
    for _ in range(10):
        first = await _expiring(admin)
        second = (await anonymous.refresh(first["refresh_token"])).json
        rotated, _ = await asyncio.gather(
            anonymous.refresh(second["refresh_token"]), anonymous.refresh(first["refresh_token"])
        )
        if rotated.status == 200:
            assert not await anonymous.with_token(rotated.json["access_token"]).works()
        assert not await anonymous.with_token(second["access_token"]).works()


async def test_a_code_gives_a_token_that_ends_when_the_code_would_have(
    anonymous: AuthClient, admin: AuthClient
) -> None:
    code = await admin.authorize({"response_type": "code", "scope": "user", "expires_in": 600, "description": "laptop"})
    reply = await anonymous.redeem(code.json["code"])
    assert reply.status == 200
    assert 590 < reply.json["expires_in"] <= 600
    assert len(reply.json["access_token"]) == 64
    assert len(reply.json["refresh_token"]) == 128
    assert reply.json["access_token_last_four"] == reply.json["access_token"][-4:]
    assert reply.json["refresh_token_last_four"] == reply.json["refresh_token"][-4:]
    assert (reply.json["token_type"], reply.json["description"]) == ("bearer", "laptop")
    assert reply.json["user"]["email"] == "admin"


async def test_a_code_ends_when_its_token_would(anonymous: AuthClient, admin: AuthClient, auth_url: str) -> None:
    code = (await admin.authorize({"response_type": "code", "scope": "user", "expires_in": 600})).json
    await _expire(auth_url, code["id"])
    reply = await anonymous.redeem(code["code"])
    assert (reply.status, reply.json["error"]) == (400, "invalid_grant")


async def test_any_number_of_wrong_guesses_locks_nobody_out(anonymous: AuthClient, admin: AuthClient) -> None:
    first = await _expiring(admin)
    guesses = [anonymous.redeem(f"guess-{number}") for number in range(150)]
    # One character longer than the token, so that none of them is right by chance.
    guesses += [anonymous.refresh(f"{first['refresh_token'][:-1]}{number + 10}") for number in range(150)]
    assert {reply.status for reply in await asyncio.gather(*guesses)} == {400}
    assert (await anonymous.redeem(INITIAL_CODE)).status == 200
    assert (await anonymous.refresh(first["refresh_token"])).status == 200


async def test_an_expired_token_can_be_refreshed(anonymous: AuthClient, admin: AuthClient, auth_url: str) -> None:
    first = await _expiring(admin)
    await _expire(auth_url, first["id"])
    assert not await anonymous.with_token(first["access_token"]).works()
    assert (await anonymous.refresh(first["refresh_token"])).status == 200


async def test_values_are_never_cached(anonymous: AuthClient, admin: AuthClient) -> None:
    for reply in (
        await anonymous.redeem(INITIAL_CODE),
        await admin.authorize({"response_type": "token", "scope": "user"}),
    ):
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["pragma"] == "no-cache"


@pytest.mark.parametrize("content_type", [FORM, ""])
async def test_forms_are_read(anonymous: AuthClient, content_type: str) -> None:
    body = f"grant_type=authorization_code&code={INITIAL_CODE}".encode()
    reply = await anonymous.exchange(body, content_type)
    assert (reply.status, reply.content_type) == (200, JSON)


async def test_json_without_content_type_is_read(anonymous: AuthClient) -> None:
    reply = await anonymous.exchange({"grant_type": "authorization_code", "code": INITIAL_CODE}, "", "*/*")
    assert (reply.status, reply.content_type) == (200, JSON)


async def test_a_client_without_json_gets_a_form(anonymous: AuthClient, admin: AuthClient) -> None:
    first = await _expiring(admin)
    body = f"grant_type=refresh_token&refresh_token={first['refresh_token']}&state=s1".encode()
    reply = await anonymous.exchange(body, FORM, FORM)
    assert (reply.status, reply.content_type) == (200, FORM)
    fields = parse_qs(reply.data.decode())
    assert set(fields) == {"state", "access_token", "refresh_token", "expires_in", "username", "server_name"}
    assert (fields["state"], fields["username"], fields["server_name"]) == (["s1"], ["admin"], ["m1"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"{", "invalid_request"),
        (b"[]", "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"grant_type":"password"}', "unsupported_grant_type"),
        (b'{"grant_type":"authorization_code"}', "invalid_request"),
        (b'{"grant_type":"authorization_code","code":["x"]}', "invalid_request"),
        (b'{"grant_type":"authorization_code","code":"no-such-code"}', "invalid_grant"),
        (b'{"grant_type":"authorization_code","code":"\\u0000"}', "invalid_grant"),
        (b'{"grant_type":"refresh_token","refresh_token":"  "}', "invalid_request"),
        (b'{"grant_type":"refresh_token","refresh_token":"unknown"}', "invalid_grant"),
    ],
)
async def test_bad_requests_have_rfc_6749_bodies(anonymous: AuthClient, body: bytes, error: str) -> None:
    reply = await anonymous.exchange(body)
    assert (reply.status, reply.json["error"]) == (400, error)
    assert isinstance(reply.json["error_description"], str)


async def test_a_code_of_somebody_else_belongs_to_them(
    anonymous: AuthClient, admin: AuthClient, offline: Administration
) -> None:
    await offline.create_user("eve@x.org")
    code = await admin.authorize({"response_type": "code", "scope": "user", "user": "eve@x.org"})
    token = (await anonymous.redeem(code.json["code"])).json["access_token"]
    assert (await anonymous.with_token(token).user()).email == "eve@x.org"


async def _expire(url: str, token_id: str) -> None:
    connection = await asyncpg.connect(url)
    query = "update auth.access_tokens set expires_at = now() - interval '1 minute' where id = $1"
    await connection.execute(query, token_id)
    await connection.close()
