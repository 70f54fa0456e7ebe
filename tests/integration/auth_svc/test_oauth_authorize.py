"""POST /oauth2/authorize."""

from functools import partial
from typing import Any

import pytest

from services.auth_svc.app import build
from services.auth_svc.usecases.administration import Administration
from tests.integration.auth_svc.auth_client import FORM, AuthClient
from tests.integration.auth_svc.conftest import MakeSettings
from tests.support.running import running
from tests.support.statements import statements_of

TOKEN = {"response_type": "token", "scope": "user"}


@pytest.mark.parametrize("expires_in", [{}, {"expires_in": 0}, {"expires_in": "0"}, {"expires_in": "-1"}])
async def test_a_token_that_never_expires(admin: AuthClient, expires_in: dict[str, Any]) -> None:
    reply = await admin.authorize(TOKEN | expires_in)
    assert reply.status == 201
    assert not {"expires_in", "refresh_token", "refresh_token_last_four"} & set(reply.json)
    assert await admin.with_token(reply.json["access_token"]).works()


async def test_a_token_is_made_with_prepared_statements(admin: AuthClient) -> None:
    await admin.authorize(TOKEN)
    with statements_of("Authorize") as statements:
        assert (await admin.authorize(TOKEN)).status == 201
    assert (statements[0], statements[-1]) == ("begin", "commit"), "which is said to prepared ones only"
    assert len(statements) == 8, "between them: owner, family, number of tokens, time, token, event"


@pytest.mark.parametrize("expires_in", [7200, "7200"])
async def test_a_token_that_expires_can_be_refreshed(admin: AuthClient, expires_in: object) -> None:
    reply = await admin.authorize(TOKEN | {"expires_in": expires_in})
    assert (reply.status, reply.json["expires_in"]) == (201, 7200)
    assert len(reply.json["refresh_token"]) == 128
    assert {"user", "server"} <= set(reply.json)


async def test_the_documented_form_request_works(admin: AuthClient) -> None:
    reply = await admin.authorize(b"response_type=access_token&expires_in=7200", FORM)
    assert (reply.status, reply.json["scopes"]) == (201, "user")


async def test_the_code_form_shows_the_code_and_no_token(admin: AuthClient) -> None:
    body = {"response_type": "code", "scope": "user,owner", "description": "d\u00e9j\u00e0 vu"}
    reply = await admin.authorize(body)
    assert reply.status == 201
    assert set(reply.json) == {"id", "grant_type", "code", "scopes", "description", "user", "server"}
    assert len(reply.json["code"]) == 32


async def test_a_user_scope_may_mint_owner_scope(bob: AuthClient) -> None:
    assert (await bob.authorize(TOKEN | {"scope": "owner"})).status == 201


async def test_an_administrator_mints_for_others(admin: AuthClient, bob: AuthClient) -> None:
    reply = await admin.authorize(TOKEN | {"user": "bob@x.org"})
    assert reply.status == 201
    assert (await admin.with_token(reply.json["access_token"]).user()).email == "bob@x.org"


async def test_others_mint_for_themselves_only(bob: AuthClient) -> None:
    reply = await bob.authorize(TOKEN | {"user": "admin"})
    assert reply.status == 403
    assert reply.json == {
        "error": "access_denied",
        "error_description": "You do not have the permission to create invites",
    }
    assert (await bob.authorize(TOKEN | {"user": "bob@x.org"})).status == 201


async def test_a_token_without_scope_user_mints_nothing(admin: AuthClient, offline: Administration) -> None:
    owner = admin.with_token(await offline.create_token("admin", "owner", "0"))
    reply = await owner.authorize(TOKEN)
    assert (reply.status, reply.json["error"]) == (403, "access_denied")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "invalid_request"),
        ({"response_type": "token"}, 400, "invalid_scope"),
        ({"response_type": "code", "scope": " "}, 400, "invalid_scope"),
        (TOKEN | {"user": "nobody@x.org"}, 404, "not_found"),
        (TOKEN | {"user": "no\u0000body"}, 404, "not_found"),
        (TOKEN | {"user": ["admin"]}, 400, "invalid_request"),
        (TOKEN | {"user": "nobody@x.org", "scope": "bad"}, 404, "not_found"),
        (TOKEN | {"scope": "bad"}, 400, "invalid_request"),
        (TOKEN | {"expires_in": "soon"}, 400, "invalid_request"),
        (TOKEN | {"expires_in": [1]}, 400, "invalid_request"),
        (TOKEN | {"expires_in": 2**31}, 400, "invalid_request"),
        (TOKEN | {"description": "x" * 1001}, 400, "invalid_request"),
        ({"scope": "user"}, 400, "unsupported_response_type"),
        ({"response_type": "invite", "email": "e@x.org"}, 501, "server_error"),
    ],
)
async def test_refusals(admin: AuthClient, body: Any, status: int, error: str) -> None:
    reply = await admin.authorize(body)
    assert (reply.status, reply.json["error"]) == (status, error)


async def test_without_token_nothing_is_minted(anonymous: AuthClient) -> None:
    reply = await anonymous.authorize(TOKEN)
    assert (reply.status, reply.json["error"]) == (401, "invalid_token")
    assert reply.headers["www-authenticate"].startswith('Bearer realm="kontena_master"')


async def test_a_user_has_so_many_tokens(auth_settings: MakeSettings, offline: Administration) -> None:
    await offline.create_user("bob@x.org")
    async with running(partial(build, auth_settings(tokens_per_user=3))) as served:
        bob = AuthClient(served.channel, await offline.create_token("bob@x.org", "user", "0"))
        made = [await bob.authorize(TOKEN), await bob.authorize({"response_type": "code", "scope": "user"})]
        assert [reply.status for reply in made] == [201, 201]
        refused = await bob.authorize(TOKEN)
        assert (refused.status, refused.json["error"]) == (422, "quota_exceeded")
        assert refused.json["error_description"] == (
            "There may be 3 access tokens and codes of a user that did not end. Remove some, or ask an operator for "
            "more: the setting is TOKENS_PER_USER"
        )
        await bob.delete_token(made[0].json["id"])
        assert (await bob.authorize(TOKEN)).status == 201
