"""Each row of the table about the callback of a provider (docs/spec/auth_grid.md section 7.3), and refresh tokens."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.auth_people import PROVIDER, configured, email, people
from tests.support.provider import JSON, StandIn, provider_beside
from tests.support.sql import rows
from tests.support.suite import Api, Suite

DENIED = (403, "access_denied", "Access denied")
FAILED = (400, "access_denied", "Authentication failed")
NO_STATE = (400, "invalid_request", "The state is unknown, used or too old. Log in again.")


@pytest.fixture(scope="module")
def provider(api: Api) -> Iterator[StandIn]:
    with provider_beside() as found, people(api, {"carl": (), "dora": ()}):
        keys = {
            "oauth2.token_endpoint": f"{found.url}/token",
            "oauth2.userinfo_endpoint": f"{found.url}/userinfo",
            "oauth2.match_email": True,
        }
        with configured(api, {**PROVIDER, **keys, "server.name": "rows"}):
            found.says({"id": "dora-there", "email": email("dora"), "email_verified": True})
            assert log_in(api).status_code == 302
            yield found


def begun(api: Api, **parameters: str) -> tuple[str, str]:
    """The state of a new login, and the cookie of the browser that began it."""
    answer = httpx.get(f"{api.url}/authenticate", params={"redirect_uri": "/code", **parameters}, timeout=60)
    assert answer.status_code == 302, answer.text
    state = str(httpx.URL(answer.headers["location"]).params["state"])
    return state, answer.headers["set-cookie"].partition(";")[0]


def begin(api: Api, **parameters: str) -> str:
    """The state of a new login."""
    return begun(api, **parameters)[0]


def end(api: Api, state: str, code: str = "from-the-provider", cookie: str = "") -> httpx.Response:
    headers = {"cookie": cookie} if cookie else {}
    return httpx.get(f"{api.url}/cb", params={"state": state, "code": code}, headers=headers, timeout=60)


def log_in(api: Api, **parameters: str) -> httpx.Response:
    state, cookie = begun(api, **parameters)
    return end(api, state, cookie=cookie)


def told(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["error"], answer.json()["error_description"]


USERS: list[tuple[Any, tuple[int, str, str]]] = [
    ({"id": "x", "email": email("nobody")}, DENIED),
    ({"id": "x", "email": "admin"}, DENIED),
    ({"id": "x"}, DENIED),
    ({"id": "x", "email": email("carl"), "email_verified": False}, DENIED),
    ({"id": "dora-there", "email": "carl"}, (400, "invalid_request", "Invalid email address 'carl'")),
    ({"id": "x", "email": email("carl")}, DENIED),
    ({"email": email("carl"), "email_verified": True}, (400, "invalid_request", "Invalid userdata: it has no id")),
]


@pytest.mark.parametrize(("user", "expected"), USERS)
def test_who_logged_in(api: Api, provider: StandIn, user: Any, expected: tuple[int, str, str]) -> None:
    provider.says(user)
    assert told(log_in(api)) == expected


def test_somebody_elses_id(api: Api, provider: StandIn) -> None:
    provider.says({"id": "dora-there", "email": email("carl")})
    body = {"response_type": "invite", "email": email("carl")}
    invitation = api.call("POST", "/oauth2/authorize", body, status=201)["invite_code"]
    refused = told(log_in(api, invite_code=invitation))
    assert refused == (400, "invalid_request", "Invalid userdata: somebody else has this id")


@pytest.mark.parametrize("step", ["token", "userinfo"])
@pytest.mark.parametrize("answer", [(500, JSON, "{}"), (302, JSON, "{}"), (200, JSON, "{"), (200, "text/html", "<p>")])
def test_a_provider_that_answers_nonsense(api: Api, provider: StandIn, step: str, answer: tuple[int, str, str]) -> None:
    provider.says({"id": "x", "email": email("carl")})
    setattr(provider, step, answer)
    assert told(log_in(api)) == FAILED


def test_a_token_answer_without_a_token(api: Api, provider: StandIn) -> None:
    provider.says({"id": "x", "email": email("carl")}, {"token_type": "bearer"})
    assert told(log_in(api)) == FAILED


def test_no_code_unknown_used_and_old_states(suite: Suite, api: Api, provider: StandIn) -> None:
    provider.says({"id": "carl-there", "email": email("carl"), "email_verified": True})
    assert told(end(api, begin(api), "")) == FAILED
    assert told(end(api, "0" * 64)) == NO_STATE
    assert told(end(api, "")) == NO_STATE
    used = begin(api)
    assert end(api, used).status_code == 302
    assert told(end(api, used)) == NO_STATE
    old = begin(api)
    rows(suite, "update auth.authorization_requests set created_at = created_at - interval '61 minutes'")
    assert told(end(api, old)) == NO_STATE


def test_a_login_is_ended_by_the_browser_that_began_it(api: Api, provider: StandIn) -> None:
    provider.says({"id": "dora-there", "email": email("dora"), "email_verified": True})
    back = "http://localhost:7/a"
    state, cookie = begun(api, redirect_uri=back)
    other, _ = begun(api, redirect_uri=back)
    refused = told(end(api, other, cookie=cookie))
    assert refused[:2] == (403, "access_denied")
    assert "another browser" in refused[2]
    assert end(api, state, cookie=cookie).headers["location"].startswith(f"{back}?code=")


def test_a_provider_that_was_taken_away_meanwhile(api: Api, provider: StandIn) -> None:
    assert provider.url
    state = begin(api)
    with configured(api, {"oauth2.client_secret": None}):
        answer = end(api, state)
    assert told(answer) == (501, "server_error", "Authentication provider not configured")


def test_where_a_login_ends_and_how_its_tokens_follow_one_another(api: Api, provider: StandIn) -> None:
    provider.says({"id": "carl-there", "email": email("carl"), "login": "Carl", "email_verified": True})
    shown = log_in(api).headers["location"]
    assert shown.startswith("/code#")
    assert set(parse_qs(shown.partition("#")[2])) == {"code", "server_name"}
    ended = urlsplit(log_in(api, redirect_uri="http://localhost:7/a?b=c#d", expires_in="60").headers["location"])
    fields = parse_qs(ended.query)
    assert (ended.netloc, ended.path, ended.fragment, set(fields)) == (
        "localhost:7", "/a", "", {"code", "server_name"},
    )  # fmt: skip

    def exchange(**grant: str) -> httpx.Response:
        return httpx.post(f"{api.url}/oauth2/token", json=grant, timeout=60)

    first = exchange(grant_type="authorization_code", code=fields["code"][0]).json()
    assert (first["user"]["name"], first["server"]) == ("Carl", {"name": "rows"})
    second = exchange(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert 7190 < second["expires_in"] <= 7200
    for token, status in ((first, 401), (second, 200)):
        assert Api(api.url, token["access_token"], api.grid).request("GET", "/v1/user").status_code == status
    # Somebody has a copy: what came from it ends.
    again = exchange(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert Api(api.url, second["access_token"], api.grid).request("GET", "/v1/user").status_code == 401
    ended_too = exchange(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert (ended_too.status_code, ended_too.json()["error"]) == (400, "invalid_grant")
