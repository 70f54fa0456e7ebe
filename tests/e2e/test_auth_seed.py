"""The requests of the API reference about authentication, byte for byte as documented, through the gateway."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.auth_people import configured, email, people
from tests.support.suite import Api

ENTRY = {"foo.bar": "bar", "bar.baz": "baz"}


def send(api: Api, method: str, path: str, body: str | None = None, **headers: str) -> httpx.Response:
    """Exactly these headers; a token in lower case, as the reference writes it."""
    given = {"Accept": "application/json", "Authorization": f"bearer {api.token}", **headers}
    content = None if body is None else body.encode()
    return httpx.request(method, f"{api.url}{path}", headers=given, content=content, timeout=60)


@pytest.fixture
def config(api: Api) -> Iterator[Api]:
    """The configuration is put back afterwards."""
    with configured(api, {}):
        yield api


@pytest.fixture
def provider(api: Api) -> Iterator[Api]:
    with configured(api):
        yield api


@pytest.mark.parametrize("scheme", ["bearer", "Bearer", "BEARER"])
def test_the_header_of_the_introduction(api: Api, scheme: str) -> None:
    answer = send(api, "GET", "/v1/user", Authorization=f"{scheme} {api.token}")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": answer.json()["id"],
        "email": "admin",
        "name": "admin",
        "roles": [{"name": "master_admin", "description": "Master admin"}],
    }
    assert re.fullmatch("[0-9a-f]{24}", answer.json()["id"])


def test_show_update_and_replace_configuration(config: Api) -> None:
    shown = send(config, "GET", "/v1/config")
    assert shown.status_code == 200
    assert all(isinstance(key, str) for key in shown.json())
    json = {"Content-Type": "application/json"}
    text = '{\n\t"foo.bar": "bar", \n\t"bar.baz": "baz"\n}'
    assert send(config, "PATCH", "/v1/config", text, **json).status_code == 200
    assert send(config, "GET", "/v1/config").json() == shown.json() | ENTRY
    assert send(config, "GET", "/v1/config/foo.bar").json() == {"foo.bar": "bar"}
    replaced = send(config, "PUT", "/v1/config", text, **json)
    assert (replaced.status_code, replaced.json()) == (200, {})
    assert send(config, "GET", "/v1/config").json() == ENTRY


@pytest.mark.parametrize("path", ["/oauth2/authenticate", "/authenticate"])
def test_authenticate_to_the_provider(provider: Api, path: str) -> None:
    invitation = provider.call(
        "POST", "/oauth2/authorize", {"response_type": "invite", "email": email("seed")}, status=201
    )
    assert invitation["link"] == f"https://master.example.com:8443/j/{invitation['invite_code']}"
    body = f"redirect_uri=http://localhost:5177/&invite_code={invitation['invite_code']}"
    try:
        for answer in (
            httpx.request("GET", f"{provider.url}{path}", headers={"Accept": "application/json"}, content=body),
            httpx.get(f"{provider.url}{path}?{body}", headers={"Accept": "application/json"}),
        ):
            assert answer.status_code == 302, answer.text
            location = httpx.URL(answer.headers["location"])
            assert str(location.copy_with(query=None)) == "http://127.0.0.1:9/authorize"
            documented = {"response_type", "client_id", "scope", "state", "redirect_uri"}
            assert set(location.params) == documented | {"code_challenge", "code_challenge_method"}
            assert location.params["redirect_uri"] == "https://master.example.com:8443/cb"
            assert (location.params["scope"], location.params["client_id"]) == ("user:email", "e2e-client")
            assert re.fullmatch("[0-9a-f]{64}", location.params["state"])
        unknown = httpx.request("GET", f"{provider.url}{path}", content=body[:-10] + "0" * 10)
        assert (unknown.status_code, unknown.json()["error_description"]) == (403, "Invalid invite code")
    finally:
        provider.call("DELETE", f"/v1/users/{email('seed')}")


def test_authenticate_without_a_provider_says_so(provider: Api) -> None:
    provider.call("DELETE", "/v1/config/oauth2.client_id")
    answer = httpx.request("GET", f"{provider.url}/oauth2/authenticate", content="redirect_uri=http://localhost:5177/")
    assert (answer.status_code, answer.json()) == (
        501,
        {"error": "server_error", "error_description": "Authentication provider not configured"},
    )


def test_token(api: Api) -> None:
    code = send(api, "POST", "/oauth2/authorize", "response_type=code&scope=user&expires_in=7200").json()["code"]
    body = f"grant_type=authorization_code&code={code}"
    answer = httpx.post(f"{api.url}/oauth2/token", headers={"Accept": "application/json"}, content=body)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    again = httpx.post(f"{api.url}/oauth2/token", headers={"Accept": "application/json"}, content=body)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    api.call("DELETE", f"/oauth2/tokens/{answer.json()['id']}")


def test_callback(provider: Api) -> None:
    answer = send(provider, "GET", "/cb", "code=s8d9f9sd8yfsdy&state=s89dfs98dfys8d9fy")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_code_page(api: Api) -> None:
    answer = httpx.get(f"{api.url}/code")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "location.hash" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_create_authorization_and_the_access_token_endpoints(api: Api) -> None:
    made = send(api, "POST", "/oauth2/authorize", "response_type=access_token&expires_in=7200")
    assert made.status_code == 201
    token = made.json()
    assert (token["scopes"], token["token_type"]) == ("user", "bearer")
    assert 7190 < token["expires_in"] <= 7200
    listed = send(api, "GET", "/oauth2/tokens").json()["tokens"]
    assert token["id"] in [entry["id"] for entry in listed]
    assert not any("access_token" in entry or "refresh_token" in entry for entry in listed)
    own = Api(api.url, token["access_token"], api.grid)
    for name in (token["id"], token["access_token"]):
        shown = send(api, "GET", f"/oauth2/tokens/{name}")
        assert shown.status_code == 200
        assert set(shown.json()) >= {
            "id", "token_type", "access_token_last_four", "refresh_token_last_four", "expires_in", "scopes", "user",
        }  # fmt: skip
    assert send(own, "DELETE", f"/oauth2/tokens/{token['id']}").status_code == 200
    assert send(own, "GET", "/v1/user").status_code == 401
    assert send(api, "GET", f"/oauth2/tokens/{token['id']}").status_code == 404
    assert send(api, "GET", "/oauth2/tokens/09348203840328023948").status_code == 404


def test_two_hundred_exchanges_of_one_code_give_exactly_one_token(api: Api) -> None:
    body = {"response_type": "code", "scope": "user", "expires_in": "600"}
    code = api.call("POST", "/oauth2/authorize", body, status=201)["code"]
    form = {"grant_type": "authorization_code", "code": code}

    async def exchange() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=api.url, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(client.post("/oauth2/token", json=form) for _ in range(200)))

    answers = asyncio.run(exchange())
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 199}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    [token] = [answer.json() for answer in answers if answer.status_code == 200]
    assert Api(api.url, token["access_token"], api.grid).call("GET", "/v1/user")["email"] == "admin"
    api.call("DELETE", f"/oauth2/tokens/{token['id']}")


def test_password_logins_are_refused(api: Api) -> None:
    for agent, hint in (("kontena-cli/1.5.4", True), ("curl/8", False)):
        answer = httpx.post(
            f"{api.url}/v1/auth", json={"username": "a", "password": "b"}, headers={"User-Agent": agent}
        )
        assert answer.status_code == 403
        assert ("upgrade" in answer.json()["error"]) is hint


def test_the_last_administrator_stays(api: Api) -> None:
    with people(api, {"rights": ("user_admin",)}) as made:
        refused = made["rights"].request("DELETE", "/v1/users/admin")
        assert refused.status_code == 400
        assert api.request("DELETE", "/v1/users/admin/roles/master_admin").status_code == 422
