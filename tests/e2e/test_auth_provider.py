"""A login at a real OpenID provider, as a browser does it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.auth_people import configured, email
from tests.support.browser import rendered
from tests.support.ports import free_port
from tests.support.suite import Api, soon

CLAIMS = {"sub": "anna-at-the-provider", "email": email("anna"), "name": "Anna", "preferred_username": "anna"}


@pytest.fixture(scope="module")
def openid() -> Iterator[str]:
    """A real provider process; yields its address."""
    port = free_port()
    program = Path(sys.executable).with_name("oidc-provider-mock")
    command = [str(program), "--port", str(port), "--user-claims", json.dumps(CLAIMS)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        soon(lambda: httpx.get(f"{url}/.well-known/openid-configuration").status_code == 200, message="provider is up")
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def master(api: Api, openid: str) -> Iterator[Api]:
    values = {
        "oauth2.client_id": "kontena",
        "oauth2.client_secret": "the-client-secret",
        "oauth2.authorize_endpoint": f"{openid}/oauth2/authorize",
        "oauth2.token_endpoint": f"{openid}/oauth2/token",
        "oauth2.userinfo_endpoint": f"{openid}/userinfo",
        "oauth2.token_post_content_type": "application/x-www-form-urlencoded",
        "oauth2.userinfo_scope": "openid profile email",
        "oauth2.userinfo_username_jsonpath": "$.preferred_username",
        "server.root_url": api.url,
        "server.name": "e2e master",
    }
    with configured(api, values):
        yield api


@pytest.fixture
def invitation(master: Api) -> Iterator[str]:
    body = {"response_type": "invite", "email": email("anna"), "external_id": None}
    yield master.call("POST", "/oauth2/authorize", body, status=201)["invite_code"]
    master.request("DELETE", f"/v1/users/{email('anna')}")


def log_in(
    api: Api,
    parameters: dict[str, str],
    *,
    action: str = "authorize",
    sub: str = CLAIMS["sub"],
    jar: httpx.Cookies | None = None,
) -> str:
    """Follow the redirects of a login; returns the address of our callback with its query. `jar` gets the cookies."""
    with httpx.Client(timeout=60) as browser:
        begun = browser.get(f"{api.url}/authenticate", params=parameters)
        assert begun.status_code == 302, begun.text
        form = browser.get(begun.headers["location"])
        assert form.status_code == 200, form.text
        assert "<form" in form.text
        answered = browser.post(begun.headers["location"], data={"sub": sub, "action": action})
        assert answered.status_code in (302, 303), answered.text
        if jar is not None:
            jar.update(browser.cookies)
        return str(answered.headers["location"])


def test_an_invited_user_logs_in_and_uses_the_api(master: Api, invitation: str) -> None:
    port_of_the_cli = "http://localhost:51234/cb?from=cli"
    jar = httpx.Cookies()
    begun = {"redirect_uri": port_of_the_cli, "invite_code": invitation, "expires_in": "7200"}
    callback = log_in(master, begun, jar=jar)
    assert callback.startswith(f"{master.url}/cb?")
    done = httpx.get(callback, cookies=jar)
    assert done.status_code == 302, done.text
    end = urlsplit(done.headers["location"])
    fields = parse_qs(end.query)
    assert (end.netloc, end.path, set(fields)) == ("localhost:51234", "/cb", {"code", "server_name"})
    assert fields["server_name"] == ["e2e master"]

    grant = {"grant_type": "authorization_code", "code": fields["code"][0]}
    token = httpx.post(f"{master.url}/oauth2/token", json=grant).json()
    assert 7100 < token["expires_in"] <= 7200
    assert token["server"] == {"name": "e2e master"}
    anna = Api(master.url, token["access_token"], master.grid)
    assert anna.call("GET", "/v1/user")["email"] == email("anna")
    assert anna.call("GET", "/v1/user")["name"] == "anna"

    # The state and the invitation were for once.
    assert httpx.get(callback).status_code == 400
    spent = httpx.get(f"{master.url}/authenticate", params={"redirect_uri": "/code", "invite_code": invitation})
    assert spent.status_code == 403

    # Known by now, without an invitation: this time with the page that shows codes.
    done = httpx.get(log_in(master, {"redirect_uri": "/code"}))
    assert done.status_code == 302
    assert done.headers["location"].startswith("/code#code=")
    code = done.headers["location"].partition("#code=")[2].partition("&")[0]
    token = httpx.post(f"{master.url}/oauth2/token", json={"grant_type": "authorization_code", "code": code}).json()
    assert "expires_in" not in token
    events = [entry["event_name"] for entry in master.call("GET", "/v1/audit_logs")["logs"]]
    assert "authenticate" in events


@pytest.mark.usefixtures("invitation")
def test_an_email_alone_is_no_login(master: Api) -> None:
    assert httpx.get(log_in(master, {"redirect_uri": "/code"})).status_code == 403


def test_a_browser_shows_the_code_and_forgets_it(master: Api, invitation: str, tmp_path: Path) -> None:
    done = httpx.get(log_in(master, {"redirect_uri": "/code", "invite_code": invitation}))
    address = done.headers["location"]
    code = parse_qs(address.partition("#")[2])["code"][0]
    page, console = rendered(f"{master.url}{address}", tmp_path)
    assert console == "", "the policy of the page allows its own script"
    assert f'<code id="code">{code}</code>' in page
    assert re.search('<p id="some">', page)
    grant = {"grant_type": "authorization_code", "code": code}
    assert httpx.post(f"{master.url}/oauth2/token", json=grant).status_code == 200


def test_a_stranger_gets_no_account(master: Api) -> None:
    answer = httpx.get(log_in(master, {"redirect_uri": "/code"}, sub="a-stranger"))
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "access_denied", "error_description": "Access denied"},
    )


def test_a_denied_login_ends_with_the_words_of_the_provider(master: Api) -> None:
    answer = httpx.get(log_in(master, {"redirect_uri": "/code"}, action="deny"))
    assert (answer.status_code, answer.json()["error"]) == (502, "server_error")
    assert "access_denied" in answer.json()["error_description"]
