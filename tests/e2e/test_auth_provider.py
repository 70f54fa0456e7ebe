"""A login at a real OpenID provider, as a browser does it."""

import json
import re
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.auth_people import configured, email
from tests.e2e.provider_logins import CLAIMS, log_in
from tests.support.browser import rendered
from tests.support.kctl import Kctl
from tests.support.suite import Api


@pytest.fixture(scope="module")
def master(api: Api, provider: dict[str, str]) -> Iterator[Api]:
    with configured(api, provider):
        yield api


@pytest.fixture
def invitation(master: Api) -> Iterator[str]:
    body = {"response_type": "invite", "email": email("anna"), "external_id": None}
    yield master.call("POST", "/oauth2/authorize", body, status=201)["invite_code"]
    master.request("DELETE", f"/v1/users/{email('anna')}")


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


class Browser:
    """In place of that of the person at the command line: follows all redirects, and logs in at the provider."""

    def __init__(self, patch: pytest.MonkeyPatch, action: str = "authorize") -> None:
        self._action = action
        self.answers: list[httpx.Response] = []
        self._threads: list[threading.Thread] = []
        patch.setattr(webbrowser, "open", self._open)

    def _open(self, address: str) -> bool:
        self._threads.append(threading.Thread(target=self._log_in, args=[address]))
        self._threads[-1].start()
        return True

    def _log_in(self, address: str) -> None:
        with httpx.Client(timeout=60, follow_redirects=True) as client:
            form = client.get(address)
            assert "<form" in form.text
            self.answers.append(client.post(form.url, data={"sub": CLAIMS["sub"], "action": self._action}))

    def closed(self) -> httpx.Response:
        """What it showed at last."""
        for thread in self._threads:
            thread.join(60)
        return self.answers[-1]


def test_the_command_line_logs_in_with_the_browser(
    master: Api, invitation: str, kctl: Kctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KONTENA_URL", "KONTENA_TOKEN", "KONTENA_GRID"):
        monkeypatch.delenv(name)
    browser = Browser(monkeypatch)
    done = kctl.ok("login", master.url, "--invite", invitation, "--name", "here")
    assert "logged in to here as anna@people.example.com" in done.err
    assert "You can close this page" in browser.closed().text
    assert kctl.ok("user", "whoami", "-o", "json").document["name"] == "anna"
    known = json.loads(Path(kctl.environment["KONTENA_CTL_CONFIG"]).read_text())
    assert "refresh_token" in json.dumps(known), "it is renewed without a browser"
