"""Each row of the error tables about users, configuration, logins and members, through the gateway."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.auth_people import PROVIDER, configured, email, people, token_of
from tests.support.suite import Api, soon

NOT_FOUND = {"error": "Not found"}
NOT_ALLOWED = "Operation not allowed"
LAST_ADMIN = "Not allowed to remove last user from Master admin role"
NO_PROVIDER = {"error": "server_error", "error_description": "Authentication provider not configured"}


def oauth(error: str, description: str) -> dict[str, str]:
    """An error body of RFC 6749."""
    return {"error": error, "error_description": description}


DENIED = oauth("access_denied", "Access denied")
NO_CODE = oauth("invalid_grant", "The authorization code is unknown, too old or was used before")
NO_REFRESH = oauth("invalid_grant", "The refresh token is unknown or was used before")
NO_SCOPE = oauth("invalid_scope", "The request needs a scope: user, owner or user,owner; read; or grid:NAME:deploy")
NO_TYPE = oauth("unsupported_response_type", "Unsupported response type. Supported: code, token, invite")
NOTHING = oauth("invalid_request", "The request has no parameters")
NO_INVITES = {
    "error": "access_denied",
    "error_description": "You do not have the permission to create invites",
}


@pytest.fixture(scope="module")
def crowd(api: Api) -> Iterator[dict[str, Api]]:
    roles = {"plain": (), "members": (), "keeper": ("user_admin",), "gridder": ("grid_admin",)}
    with people(api, roles) as made:
        owner = token_of(api, email("plain"), scope="owner")["access_token"]
        for name in ("members", "gridder"):
            api.call("POST", f"/v1/grids/{api.grid}/users", {"email": email(name)}, status=201)
        yield {
            **made, "admin": api, "nobody": Api(api.url, "", api.grid), "owner": Api(api.url, owner, api.grid),
        }  # fmt: skip


@pytest.fixture(scope="module")
def foreign(api: Api) -> Iterator[str]:
    """A token of the administrator; its id."""
    token = str(token_of(api, "admin")["id"])
    yield token
    api.call("DELETE", f"/oauth2/tokens/{token}")


@pytest.fixture
def provider(api: Api) -> Iterator[None]:
    with configured(api):
        yield


PLAIN, KEEPER = f"/v1/users/{email('plain')}", f"/v1/users/{email('keeper')}"
UNKNOWN = f"/v1/users/{email('unknown')}"
GRID_USERS = "/v1/grids/{grid}/users"
ROWS: list[tuple[str, str, str, Any, int, Any]] = [
    # Users, section 6.
    ("plain", "GET", "/v1/users", None, 403, {"error": NOT_ALLOWED}),
    ("keeper", "DELETE", UNKNOWN, None, 404, NOT_FOUND),
    ("plain", "DELETE", UNKNOWN, None, 404, NOT_FOUND),
    ("plain", "DELETE", KEEPER, None, 400, {"error": {"user": NOT_ALLOWED}}),
    ("plain", "DELETE", PLAIN, None, 400, {"error": {"user": "Cannot remove itself"}}),
    ("keeper", "DELETE", KEEPER, None, 400, {"error": {"user": "Cannot remove itself"}}),
    ("keeper", "DELETE", "/v1/users/admin", None, 400, {"error": {"user": NOT_ALLOWED}}),
    ("admin", "DELETE", "/v1/users/admin", None, 400, {"error": {"user": "Cannot remove itself"}}),
    ("admin", "POST", f"{UNKNOWN}/roles", {"role": "viewer"}, 404, NOT_FOUND),
    ("admin", "POST", f"{PLAIN}/roles", {"role": "king"}, 422, {"error": {"role": "Role 'king' not found"}}),
    ("plain", "POST", f"{PLAIN}/roles", {"role": "king"}, 422, {"error": {"role": "Role 'king' not found"}}),
    ("admin", "POST", f"{PLAIN}/roles", {}, 422, {"error": {"role": "Role can't be nil"}}),
    ("admin", "POST", f"{PLAIN}/roles", {"role": None}, 422, {"error": {"role": "Role can't be nil"}}),
    ("keeper", "POST", f"{PLAIN}/roles", {"role": "viewer"}, 422, {"error": {"current_user": NOT_ALLOWED}}),
    ("admin", "DELETE", f"{UNKNOWN}/roles/viewer", None, 404, NOT_FOUND),
    ("admin", "DELETE", f"{PLAIN}/roles/king", None, 422, {"error": {"role": "Role 'king' not found"}}),
    ("keeper", "DELETE", f"{PLAIN}/roles/viewer", None, 422, {"error": {"current_user": NOT_ALLOWED}}),
    ("admin", "DELETE", "/v1/users/admin/roles/master_admin", None, 422, {"error": {"role": LAST_ADMIN}}),
    ("admin", "DELETE", f"{PLAIN}/roles/master_admin", None, 422, {"error": {"role": LAST_ADMIN}}),
    # Configuration, section 9.
    ("plain", "GET", "/v1/config", None, 403, DENIED),
    ("admin", "GET", "/v1/config/not.set", None, 404, NOT_FOUND),
    ("admin", "GET", "/v1/config/server.salt", None, 404, NOT_FOUND),
    ("admin", "DELETE", "/v1/config/server.salt", None, 404, NOT_FOUND),
    ("admin", "DELETE", "/v1/config/not.set", None, 200, {}),
    ("admin", "PATCH", "/v1/config", {"server.salt": "x"}, 200, {}),
    ("admin", "PATCH", "/v1/config", {"a\u0000b": 1}, 422, {"error": {"a\u0000b": "Key isn't in the right format"}}),
    ("admin", "PUT", "/v1/config", {"a": "\u0000"}, 422, {"error": {"a": "Value isn't in the right format"}}),
    ("admin", "PATCH", "/v1/config", {"k" * 256: 1}, 422, {"error": {"k" * 256: "Key is too long"}}),
    # Audit log, section 10.
    ("plain", "GET", "/v1/audit_logs", None, 403, {"error": "Access denied"}),
    ("plain", "GET", "/v1/grids/{grid}/audit_log", None, 403, {"error": "Access denied"}),
    ("plain", "GET", "/v1/grids/no-such-grid/audit_log", None, 404, NOT_FOUND),
    ("admin", "GET", "/v1/audit_logs?before=x", None, 400, {"error": "before must be the id of an entry"}),
    # Members, section 11.7.
    ("plain", "GET", GRID_USERS, None, 403, {"error": "Access denied"}),
    ("plain", "GET", "/v1/grids/no-such-grid/users", None, 404, NOT_FOUND),
    ("keeper", "POST", GRID_USERS, {"email": email("plain")}, 403, {"error": "Access denied"}),
    ("members", "POST", GRID_USERS, {"email": email("unknown")}, 404, {"error": "User not found"}),
    ("members", "POST", GRID_USERS, {}, 404, {"error": "User not found"}),
    ("members", "POST", GRID_USERS, {"email": email("plain")}, 422, {"error": {"grid": NOT_ALLOWED}}),
    ("members", "DELETE", f"{GRID_USERS}/admin", None, 422, {"error": {"grid": NOT_ALLOWED}}),
    ("gridder", "DELETE", f"{GRID_USERS}/{email('unknown')}", None, 404, {"error": "User not found"}),
    ("gridder", "DELETE", f"{GRID_USERS}/{email('plain')}", None, 422, {"error": {"user": "Invalid user"}}),
    # Tokens, section 7.4, 7.5 and 8.2; RFC 6749 status and body where the original differs.
    (
        "nobody", "POST", "/oauth2/token",
        {"grant_type": "password"}, 400, oauth("unsupported_grant_type", "grant_type"),
    ),
    ("nobody", "POST", "/oauth2/token", {"code": "x"}, 400, oauth("unsupported_grant_type", "grant_type")),
    (
        "nobody", "POST", "/oauth2/token",
        {"grant_type": "authorization_code"}, 400, oauth("invalid_request", "authorization_code"),
    ),
    (
        "nobody", "POST", "/oauth2/token",
        {"grant_type": "authorization_code", "code": " "}, 400, oauth("invalid_request", "authorization_code"),
    ),
    ("nobody", "POST", "/oauth2/token", {"grant_type": "authorization_code", "code": "x"}, 400, NO_CODE),
    (
        "nobody", "POST", "/oauth2/token",
        {"grant_type": "refresh_token"}, 400, oauth("invalid_request", "refresh_token"),
    ),
    ("nobody", "POST", "/oauth2/token", {"grant_type": "refresh_token", "refresh_token": "x"}, 400, NO_REFRESH),
    ("nobody", "POST", "/oauth2/token", {}, 400, NOTHING),
    ("admin", "POST", "/oauth2/authorize", {}, 400, NOTHING),
    ("admin", "POST", "/oauth2/authorize", {"response_type": "token"}, 400, NO_SCOPE),
    ("admin", "POST", "/oauth2/authorize", {"response_type": "code"}, 400, NO_SCOPE),
    (
        "admin", "POST", "/oauth2/authorize",
        {"response_type": "token", "scope": "king"}, 400, oauth("invalid_request", "scope: invalid"),
    ),
    (
        "admin", "POST", "/oauth2/authorize",
        {"response_type": "code", "scope": "user owner"}, 400, oauth("invalid_request", "scope: invalid"),
    ),
    ("admin", "POST", "/oauth2/authorize", {"response_type": "x"}, 400, NO_TYPE),
    (
        "admin", "POST", "/oauth2/authorize",
        {"response_type": "token", "scope": "user", "expires_in": "soon"},
        400, oauth("invalid_request", "expires_in: integer"),
    ),
    (
        "admin", "POST", "/oauth2/authorize",
        {"response_type": "token", "scope": "user", "user": email("unknown")},
        404, oauth("not_found", "There is no user with this e-mail"),
    ),
    (
        "owner", "POST", "/oauth2/authorize", {"response_type": "token", "scope": "owner"},
        403, oauth("access_denied", "The access token needs the scope user"),
    ),
    ("plain", "GET", "/oauth2/tokens/{token}", None, 403, DENIED),
    ("plain", "DELETE", "/oauth2/tokens/{token}", None, 403, DENIED),
    (
        "plain", "POST", "/oauth2/authorize",
        {"response_type": "token", "scope": "user", "user": "admin"}, 403, NO_INVITES,
    ),
    ("admin", "GET", "/oauth2/tokens/unknown", None, 404, NOT_FOUND),
    ("admin", "DELETE", "/oauth2/tokens/unknown", None, 404, NOT_FOUND),
]  # fmt: skip


@pytest.mark.parametrize(("who", "method", "path", "body", "status", "expected"), ROWS)
def test_error_row(
    crowd: dict[str, Api], foreign: str, who: str, method: str, path: str, body: Any, status: int, expected: Any
) -> None:
    caller = crowd[who]
    answer = caller.request(method, path.format(grid=caller.grid, token=foreign), body)
    assert (answer.status_code, answer.json()) == (status, expected), answer.text
    assert answer.headers["content-type"] == "application/json"


RAW_ROWS: list[tuple[str, str, str, bytes, dict[str, str]]] = [
    ("POST", "/oauth2/token", "application/json", b"{", oauth("invalid_request", "Invalid parameters")),
    ("POST", "/oauth2/token", "application/json", b"[1]", oauth("invalid_request", "Invalid parameters")),
    ("POST", "/oauth2/token", "application/x-www-form-urlencoded", b"a=%ff", oauth("invalid_request",
     "Invalid parameters")),
    ("POST", "/oauth2/token", "", b"", NOTHING),
    ("POST", "/oauth2/authorize", "", b"", NOTHING),
    ("PATCH", "/v1/config", "application/json", b"{", {"error": "Invalid json"}),
    ("PUT", "/v1/config", "application/json", b"[1]", {"error": "Invalid json"}),
    ("PUT", "/v1/config", "text/plain", b'"x"', {"error": "Invalid json"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "content_type", "body", "expected"), RAW_ROWS)
def test_raw_row(api: Api, method: str, path: str, content_type: str, body: bytes, expected: dict[str, str]) -> None:
    before = api.call("GET", "/v1/config")
    answer = api.request(method, path, headers={"Content-Type": content_type}, content=body)
    assert (answer.status_code, answer.json()) == (400, expected)
    assert api.call("GET", "/v1/config") == before


@pytest.mark.parametrize("kind", ["expired", "deleted", "of a deleted user", "another scheme"])
def test_a_token_that_is_no_longer_good(api: Api, kind: str) -> None:
    with people(api, {"gone": ()}) as made:
        token = token_of(api, email("gone"), seconds=1 if kind == "expired" else 600)
        caller, scheme = Api(api.url, token["access_token"], api.grid), "Bearer"
        if kind == "expired":
            soon(lambda: caller.request("GET", "/v1/user").status_code == 401)
        elif kind == "deleted":
            api.call("DELETE", f"/oauth2/tokens/{token['id']}")
        elif kind == "of a deleted user":
            api.call("DELETE", f"/v1/users/{email('gone')}")
            assert made["gone"].request("GET", "/v1/user").status_code == 401
        else:
            scheme = "Basic"
        answer = caller.request("GET", "/v1/user", headers={"Authorization": f"{scheme} {caller.token}"})
    description = "Token expired" if kind == "expired" else "Invalid token"
    assert (answer.status_code, answer.json()) == (401, oauth("invalid_token", description))
    challenge = f'Bearer realm="kontena_master", error="invalid_token", error_description="{description}"'
    assert answer.headers["www-authenticate"] == challenge


LOGIN_ROWS: list[tuple[dict[str, str], int, Any]] = [
    ({}, 400, "Missing redirect_uri"),
    ({"redirect_uri": " "}, 400, "Missing redirect_uri"),
    ({"redirect_uri": "https://evil.example.com/cb"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "http://127.0.0.1/cb"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "http://[bad"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "http://evil.example.com\\@localhost/"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "/code/more"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "//evil.example.com/code"}, 400, "Invalid redirect_uri"),
    ({"redirect_uri": "/code", "invite_code": "wrong"}, 403, "Invalid invite code"),
]


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("path", ["/authenticate", "/oauth2/authenticate"])
@pytest.mark.parametrize(("parameters", "status", "description"), LOGIN_ROWS)
def test_login_row(api: Api, path: str, parameters: dict[str, str], status: int, description: str) -> None:
    answer = httpx.get(f"{api.url}{path}", params=parameters)
    assert (answer.status_code, answer.json()["error_description"]) == (status, description)


@pytest.mark.parametrize("missing", [*PROVIDER])
@pytest.mark.usefixtures("provider")
def test_an_incomplete_provider_is_none(api: Api, missing: str) -> None:
    api.call("DELETE", f"/v1/config/{missing}")
    begun = httpx.get(f"{api.url}/authenticate")
    assert (begun.status_code, begun.json()) == (501, NO_PROVIDER)
    invited = api.request("POST", "/oauth2/authorize", {"response_type": "invite"})
    assert (invited.status_code, invited.json()) == (501, NO_PROVIDER)


@pytest.mark.usefixtures("provider")
def test_invitation_rows(crowd: dict[str, Api]) -> None:
    body = {"response_type": "invite", "email": "no-address"}
    wrong = crowd["plain"].request("POST", "/oauth2/authorize", body)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_request")
    refused = crowd["plain"].request("POST", "/oauth2/authorize", {**body, "email": email("plain")})
    assert (refused.status_code, refused.json()) == (403, NO_INVITES)
    stranger = crowd["nobody"].request("POST", "/oauth2/authorize", body)
    assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_token")


@pytest.mark.usefixtures("provider")
def test_callback_rows(api: Api) -> None:
    for query, status, error in (
        ("error=access_denied&error_description=no", 502, "server_error"),
        ("", 400, "invalid_request"),
        ("state=unknown&code=x", 400, "invalid_request"),
    ):
        answer = httpx.get(f"{api.url}/cb?{query}")
        assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.usefixtures("provider")
def test_a_provider_that_does_not_answer_fails_the_login_and_the_state_is_spent(api: Api) -> None:
    begun = httpx.get(f"{api.url}/authenticate", params={"redirect_uri": "/code"})
    state = httpx.URL(begun.headers["location"]).params["state"]
    first = httpx.get(f"{api.url}/cb", params={"state": state, "code": "x"})
    assert (first.status_code, first.json()) == (
        400,
        {"error": "access_denied", "error_description": "Authentication failed"},
    )
    again = httpx.get(f"{api.url}/cb", params={"state": state, "code": "x"})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")


def test_the_last_member_of_a_grid_stays(api: Api) -> None:
    api.call("POST", "/v1/grids", {"name": "lonely-grid"}, status=201)
    try:
        path = "/v1/grids/lonely-grid/users/admin"
        api.call("POST", "/v1/grids/lonely-grid/users", {"email": "admin"}, status=201)
        answer = api.request("DELETE", path)
        assert (answer.status_code, answer.json()) == (422, {"error": {"grid": "Cannot remove last user"}})
    finally:
        api.call("DELETE", "/v1/grids/lonely-grid")


def test_members_are_shown_added_and_removed(crowd: dict[str, Api], api: Api) -> None:
    path = f"/v1/grids/{api.grid}/users"
    for _ in range(2):
        users = crowd["gridder"].call("POST", path, {"email": email("plain")}, status=201)["users"]
        assert email("plain") in [user["email"] for user in users]
    # Other services hear of it within a second.
    soon(lambda: crowd["plain"].call("GET", f"/v1/grids/{api.grid}")["name"] == api.grid)
    users = crowd["gridder"].call("DELETE", f"{path}/{email('plain')}")["users"]
    assert email("plain") not in [user["email"] for user in users]
    soon(lambda: crowd["plain"].request("GET", f"/v1/grids/{api.grid}").status_code == 403)
