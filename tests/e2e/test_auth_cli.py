"""The `master` commands of the public command line, as it sends them: every field that it cannot do without is there.

docs/spec/client_contract.md sections 3 and 8. It needs 200, 201 or 204, JSON, and never an empty body.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.auth_people import PROVIDER, configured, email
from tests.support.suite import Api

AGENT = {"User-Agent": "kontena-cli/1.5.4", "Accept-Encoding": "gzip"}
CLIENT = {"client_id": "built-in-id", "client_secret": "built-in-secret"}
BOB = email("bob")


@pytest.fixture(scope="module")
def master(api: Api) -> Iterator[Api]:
    with configured(api, {**PROVIDER, "server.name": "commands"}):
        yield api
        api.request("DELETE", f"/v1/users/{BOB}")


def ask(api: Api, verb: str, path: str, body: Any = None, *, token: bool = True) -> Any:
    """The answer of a command's request."""
    caller = api if token else Api(api.url, "", api.grid)
    answer = caller.request(verb, path, body, headers=dict(AGENT))
    assert answer.status_code in (200, 201, 204), f"{verb} {path}: {answer.status_code} {answer.text}"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() is not None
    return answer.json()


def has(document: dict[str, Any], *names: str) -> bool:
    return all(document.get(name) is not None for name in names)


def test_login_with_a_code_refresh_and_logout(master: Api) -> None:
    made = {"response_type": "code", "scope": "user", "expires_in": "7200", "description": "desc", "user": "admin"}
    code = ask(master, "POST", "/oauth2/authorize", made)
    assert has(code, "user", "server", "code", "id")
    grant = {"grant_type": "authorization_code", "code": code["code"], **CLIENT}
    login = ask(master, "POST", "/oauth2/token", grant, token=False)
    assert has(login, "access_token", "refresh_token", "expires_in")
    assert (login["user"]["name"], login["server"]["name"]) == ("admin", "commands")
    session = Api(master.url, login["access_token"], master.grid)
    assert "user_count" in ask(session, "GET", "/v1/grids")["grids"][0]
    assert has(ask(session, "GET", "/v1/user"), "email", "name")
    refresh = {"refresh_token": login["refresh_token"], "grant_type": "refresh_token", **CLIENT}
    fresh = ask(master, "POST", "/oauth2/token", refresh, token=False)
    assert has(fresh, "access_token", "refresh_token", "expires_in")
    # `master logout` spends the refresh token, and does not keep what it gets for it.
    ask(master, "POST", "/oauth2/token", {**refresh, "refresh_token": fresh["refresh_token"]}, token=False)
    spent = httpx.post(f"{master.url}/oauth2/token", json={**refresh, "refresh_token": fresh["refresh_token"]})
    assert spent.status_code == 400


def test_remote_login_and_join_print_where_to_go(master: Api) -> None:
    for query in ("redirect_uri=%2Fcode&expires_in=7200", "redirect_uri=http://localhost:53000/cb"):
        answer = httpx.get(f"{master.url}/authenticate?{query}", headers=AGENT)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (302, "http://127.0.0.1:9/authorize")
    refused = httpx.get(f"{master.url}/authenticate?redirect_uri=%2Fcode&invite_code=wrong", headers=AGENT)
    assert (refused.status_code, set(refused.json())) == (403, {"error", "error_description"})


def test_token_commands(master: Api) -> None:
    body = {"response_type": "token", "scope": "user", "expires_in": "0"}
    made = ask(master, "POST", "/oauth2/authorize", body)
    assert has(made, "user", "server", "access_token")
    assert "expires_in" not in made
    assert any(token["id"] == made["id"] for token in ask(master, "GET", "/oauth2/tokens")["tokens"])
    for name in (made["id"], made["access_token"]):
        assert has(ask(master, "GET", f"/oauth2/tokens/{name}"), "user", "server", "token_type", "scopes")
    assert ask(master, "DELETE", f"/oauth2/tokens/{made['id']}") == {}


def test_config_commands(master: Api) -> None:
    given = {"server.name": "abc", "commands.a": "b"}
    assert ask(master, "PATCH", "/v1/config", given) == {}
    assert ask(master, "GET", "/v1/config/server.name") == {"server.name": "abc"}
    exported = ask(master, "GET", "/v1/config?filter=oauth2.%2A")
    assert set(PROVIDER) - {"server.root_url"} <= set(exported)
    assert all(key.startswith("oauth2.") for key in exported)
    assert ask(master, "DELETE", "/v1/config/commands.a") == {}
    whole = ask(master, "GET", "/v1/config")
    assert ask(master, "PUT", "/v1/config", whole) == {}
    assert ask(master, "GET", "/v1/config") == whole


def test_user_and_audit_log_commands(master: Api) -> None:
    invite = {"email": BOB, "external_id": None, "response_type": "invite"}
    assert has(ask(master, "POST", "/oauth2/authorize", invite), "email", "invite_code", "link")
    assert has(ask(master, "POST", f"/v1/users/{BOB}/roles", {"role": "grid_admin"}), "roles")
    listed = ask(master, "GET", "/v1/users")["users"]
    assert all(isinstance(user["roles"], list) for user in listed)
    assert ask(master, "DELETE", f"/v1/users/{BOB}/roles/grid_admin")["roles"] == []
    assert ask(master, "DELETE", f"/v1/users/{BOB}") == {}
    for query in ("limit", "limit=5"):
        logs = ask(master, "GET", f"/v1/audit_logs?{query}")["logs"]
        assert logs
        assert all(has(log["user_identity"], "id", "email") for log in logs)
