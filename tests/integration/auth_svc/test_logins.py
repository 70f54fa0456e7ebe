"""Logins at an external provider: who gets in, what the provider is asked, what is used up."""

import asyncio
import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest

from services.auth_svc.usecases.administration import Administration
from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.auth_svc.grid_stand_in import ALPHA, BETA
from tests.integration.auth_svc.login_steps import CARL, log_in, state_of, token_of
from tests.support.provider import FORM, JSON, StandIn


async def test_an_invited_person_becomes_the_user(anonymous: AuthClient, admin: AuthClient, provider: StandIn) -> None:
    invitation = (await admin.invite("invited@x.org")).json
    token = await token_of(anonymous, await log_in(anonymous, invite_code=invitation["invite_code"]))
    user = await anonymous.with_token(token).user()
    assert (user.email, user.name) == ("invited@x.org", "carl")
    asked, info = provider.asked
    assert (asked.method, asked.headers["content-type"]) == ("POST", FORM)
    fields = parse_qs(asked.body)
    assert (fields["code"], fields["redirect_uri"]) == (["from-the-provider"], ["https://m.example.com/a/cb"])
    assert "authorization" not in asked.headers
    assert (info.target, info.headers["authorization"]) == ("/user/provider-token", "Bearer provider-token")
    # From now on the id at the provider is enough, whatever the e-mail there.
    again = await token_of(anonymous, await log_in(anonymous))
    assert (await anonymous.with_token(again).user()).email == "invited@x.org"


@pytest.mark.parametrize("doubt", [False, "false", None, 0, "yes", 1, [], {}])
async def test_an_email_that_nobody_verified_is_nothing(
    anonymous: AuthClient, offline: Administration, provider: StandIn, doubt: Any
) -> None:
    await offline.create_user("carl@x.org")
    provider.says({**CARL, "email_verified": doubt})
    assert (await log_in(anonymous)).status == 403
    provider.says({name: value for name, value in CARL.items() if name != "email_verified"})
    assert (await log_in(anonymous)).status == 403


async def test_a_verified_email_ties_an_account_once_and_where_that_is_configured(
    anonymous: AuthClient, admin: AuthClient, offline: Administration, provider: StandIn
) -> None:
    await offline.create_user("carl@x.org")
    for no in (False, "no", 1, None):
        await admin.configure({"oauth2.match_email": no})
        assert (await log_in(anonymous)).status == 403
    await admin.configure({"oauth2.match_email": "true"})
    await token_of(anonymous, await log_in(anonymous))
    # Whoever has the e-mail now is somebody else at the provider.
    provider.says({**CARL, "id": "thief"})
    thief = await log_in(anonymous)
    assert (thief.status, thief.json["error"]) == (403, "access_denied")
    assert "another login" in thief.json["error_description"]
    provider.says(CARL)
    again = await token_of(anonymous, await log_in(anonymous))
    assert (await anonymous.with_token(again).user()).email == "carl@x.org"


@pytest.mark.parametrize(
    ("userinfo", "status", "description"),
    [
        ({"id": 1, "email": "unknown@x.org", "email_verified": True}, 403, "Access denied"),
        ({"id": 1, "email": "admin", "email_verified": True}, 403, "Access denied"),
        ({"email": "carl@x.org", "email_verified": True}, 400, "Invalid userdata: it has no id"),
        ({"id": True, "email": "carl@x.org", "email_verified": True}, 400, "Invalid userdata: it has no id"),
        ([], 403, "Access denied"),
    ],
)
async def test_who_is_refused(
    anonymous: AuthClient, offline: Administration, provider: StandIn, userinfo: Any, status: int, description: str
) -> None:
    await offline.create_user("carl@x.org")
    provider.says(userinfo)
    reply = await log_in(anonymous)
    assert (reply.status, reply.json["error_description"]) == (status, description)


async def test_an_email_without_at_sign_is_refused(anonymous: AuthClient, admin: AuthClient, provider: StandIn) -> None:
    invitation = (await admin.invite("invited@x.org", external_id="7")).json
    provider.says({"id": 7, "email": "broken"})
    reply = await log_in(anonymous)
    assert (reply.status, reply.json["error_description"]) == (400, "Invalid email address 'broken'")
    await token_of(anonymous, await log_in(anonymous, invite_code=invitation["invite_code"]))


async def test_an_id_belongs_to_one_user(anonymous: AuthClient, admin: AuthClient, provider: StandIn) -> None:
    await token_of(anonymous, await log_in(anonymous, invite_code=(await admin.invite("a@x.org")).json["invite_code"]))
    reply = await log_in(anonymous, invite_code=(await admin.invite("b@x.org")).json["invite_code"])
    assert (reply.status, reply.json["error_description"]) == (400, "Invalid userdata: somebody else has this id")


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ((500, JSON, "{}"), None),
        ((200, JSON, "["), None),
        ((200, JSON, "{}"), None),
        ((200, JSON, "[]"), None),
        ((200, JSON, '{"access_token":7}'), None),
        ((200, JSON, '{"access_token":"\\u00fc\\n"}'), None),
        ((302, JSON, '{"access_token":"x"}'), None),
        ((200, JSON, "x" * 1_100_000), None),
        (None, (401, JSON, "{}")),
        (None, (200, "text/html", "<html>")),
        (None, (200, JSON, "[" * 100_000)),
    ],
)
async def test_a_provider_that_answers_nonsense_fails_the_login(
    anonymous: AuthClient, provider: StandIn, token: Any, userinfo: Any
) -> None:
    provider.token = token or provider.token
    provider.userinfo = userinfo or provider.userinfo
    reply = await log_in(anonymous)
    assert (reply.status, reply.json) == (400, {"error": "access_denied", "error_description": "Authentication failed"})


@pytest.mark.parametrize("content_type", [JSON, FORM])
async def test_the_reason_of_a_provider_is_told(anonymous: AuthClient, provider: StandIn, content_type: str) -> None:
    said = {"error": "invalid_client", "error_description": "no se:cret here"}
    provider.token = (401, content_type, json.dumps(said) if content_type == JSON else urlencode(said))
    reply = await log_in(anonymous)
    text = "Authentication failed: the provider says invalid_client (no ... here)"
    assert (reply.status, reply.json) == (400, {"error": "access_denied", "error_description": text})


async def test_the_ways_to_ask_for_a_token(
    anonymous: AuthClient, admin: AuthClient, offline: Administration, provider: StandIn
) -> None:
    await offline.create_user("carl@x.org")
    basic = "Basic " + base64.b64encode(b"id:se:cret").decode()
    await admin.configure({"oauth2.code_requires_basic_auth": "true"})
    provider.token = (200, FORM, "access_token=by%2Fform")
    await token_of(anonymous, await log_in(anonymous))
    assert provider.asked[0].headers["content-type"] == FORM
    assert provider.asked[0].headers["authorization"] == basic
    assert provider.asked[1].target == "/user/by%2Fform"

    await admin.configure({"oauth2.token_post_content_type": JSON})
    provider.says(CARL)
    await token_of(anonymous, await log_in(anonymous))
    assert json.loads(provider.asked[0].body)["grant_type"] == "authorization_code"

    await admin.configure({"oauth2.token_method": "get", "oauth2.userinfo_requires_basic_auth": True})
    provider.says(CARL)
    await token_of(anonymous, await log_in(anonymous))
    assert provider.asked[0].method == "GET"
    assert "client_secret=se%3Acret" in provider.asked[0].target
    assert "code_verifier=" in provider.asked[0].target
    assert provider.asked[1].headers["authorization"] == basic


async def test_the_provider_can_tell_that_its_code_belongs_to_this_login(
    anonymous: AuthClient, offline: Administration, provider: StandIn
) -> None:
    await offline.create_user("carl@x.org")
    begun = await anonymous.begin_login(redirect_uri="/code")
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    await anonymous.end_login(state=query["state"][0], code="from-the-provider")
    verifier = parse_qs(provider.asked[0].body)["code_verifier"][0]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query["code_challenge"] == [challenge]


async def test_a_wrong_jsonpath_fails_the_login(anonymous: AuthClient, admin: AuthClient, provider: StandIn) -> None:
    assert provider.url
    await admin.configure({"oauth2.userinfo_email_jsonpath": "$..[?("})
    assert (await log_in(anonymous)).status == 400


async def test_one_of_many_callbacks_gets_the_code(
    anonymous: AuthClient, offline: Administration, provider: StandIn
) -> None:
    assert provider.url
    await offline.create_user("carl@x.org")
    state = state_of(await anonymous.begin_login(redirect_uri="/code"))
    replies = await asyncio.gather(*(anonymous.end_login(state=state, code="c") for _ in range(30)))
    assert sorted(reply.status for reply in replies) == [302] + [400] * 29


async def test_a_state_ends_after_an_hour(
    anonymous: AuthClient, offline: Administration, provider: StandIn, auth_url: str
) -> None:
    assert provider.url
    await offline.create_user("carl@x.org")
    state = state_of(await anonymous.begin_login(redirect_uri="/code"))
    connection = await asyncpg.connect(auth_url)
    await connection.execute("update auth.authorization_requests set created_at = now() - interval '61 minutes'")
    await connection.close()
    reply = await anonymous.end_login(state=state, code="c")
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


async def test_the_code_of_a_login_waits_ten_minutes_whatever_its_token_lasts(
    anonymous: AuthClient, offline: Administration, provider: StandIn, auth_url: str
) -> None:
    assert provider.url
    await offline.create_user("carl@x.org")
    connection = await asyncpg.connect(auth_url)
    for minutes, status in ((9, 200), (11, 400)):
        reply = await log_in(anonymous)
        code = parse_qs(reply.headers["location"].partition("#")[2])["code"][0]
        await connection.execute(
            "update auth.access_tokens set code_expires_at = code_expires_at - make_interval(mins => $1)", minutes
        )
        assert (await anonymous.redeem(code)).status == status
    await connection.close()


async def test_a_caller_with_a_token_links_their_own_account(
    anonymous: AuthClient, bob: AuthClient, admin: AuthClient, offline: Administration, provider: StandIn, auth_url: str
) -> None:
    provider.says({"id": "b7", "email": "elsewhere@y.org"})
    begun = await bob.begin_login(redirect_uri="/code")
    # Nobody else finishes it: the account would be tied to theirs.
    assert (await anonymous.end_login(state=state_of(begun), code="c")).status == 403
    token = await token_of(anonymous, await log_in(bob))
    assert (await anonymous.with_token(token).user()).email == "bob@x.org"
    # A token that was found ties the account to nobody else, whoever has it logs in as themselves.
    provider.says({"id": "new", "email": "elsewhere@y.org"})
    assert (await log_in(bob)).status == 403
    # Neither the local administrator nor an expired or limited token binds a login to anybody.
    limited = await offline.create_token("bob@x.org", "read", None)
    expired = await offline.create_token("bob@x.org", "user", "60")
    connection = await asyncpg.connect(auth_url)
    await connection.execute(
        "update auth.access_tokens set expires_at = now() - interval '1 s' where expires_at > now()"
    )
    await connection.close()
    for client in (admin, *map(anonymous.with_token, (expired, limited, "unknown"))):
        assert (await log_in(client)).status == 403


async def test_changes_of_the_provider_untie_everybody(
    anonymous: AuthClient, admin: AuthClient, provider: StandIn
) -> None:
    invitation = (await admin.invite("invited@x.org")).json
    await token_of(anonymous, await log_in(anonymous, invite_code=invitation["invite_code"]))
    await admin.configure({"foo": 1})
    assert (await log_in(anonymous)).status == 302
    await admin.configure({"oauth2.userinfo_scope": "more", "foo": 1})
    assert (await log_in(anonymous)).status == 403
    assert provider.asked


async def test_an_invitation_makes_nobody_more_than_they_are(
    admin: AuthClient, anonymous: AuthClient, offline: Administration, provider: StandIn
) -> None:
    assert provider.url
    await offline.create_user("boss@x.org", ["master_admin"])
    await offline.create_user("gridder@x.org", ["grid_admin"])
    await offline.create_user("member@x.org", grid_ids=[ALPHA, BETA])
    await offline.create_user("colleague@x.org", ["user_admin"], [ALPHA])
    await offline.create_user("keeper@x.org", ["user_admin"], [ALPHA])
    keeper = anonymous.with_token(await offline.create_token("keeper@x.org", "user", "0"))
    for name, status in (("boss", 403), ("gridder", 403), ("member", 403), ("colleague", 201)):
        assert (await keeper.invite(f"{name}@x.org")).status == status
    assert (await admin.invite("boss@x.org")).status == 201
    first = (await keeper.invite("new@x.org", username="New")).json
    second = (await keeper.invite("new@x.org")).json
    assert first["invite_code"] != second["invite_code"]
    assert (await anonymous.begin_login(redirect_uri="/code", invite_code=first["invite_code"])).status == 403
    assert (await anonymous.begin_login(redirect_uri="/code", invite_code=second["invite_code"])).status == 302


async def test_codes_and_states_are_stored_as_digests(
    admin: AuthClient, anonymous: AuthClient, provider: StandIn, auth_url: str
) -> None:
    assert provider.url
    code = (await admin.invite("invited@x.org")).json["invite_code"]
    state = state_of(await anonymous.begin_login(redirect_uri="/code", invite_code=code))
    connection = await asyncpg.connect(auth_url)
    for table in ("users", "authorization_requests", "outbox", "audit_logs", "config"):
        rows = str([tuple(row) for row in await connection.fetch(f"select * from auth.{table}")])  # noqa: S608
        assert code not in rows
        assert state not in rows
        assert "se:cret" not in rows
    await connection.close()
