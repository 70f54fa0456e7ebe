"""A real OpenID provider, and a person who logs in there with a browser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.auth_people import email
from tests.support.ports import free_port
from tests.support.suite import Api, soon

CLAIMS = {"sub": "anna-at-the-provider", "email": email("anna"), "name": "Anna", "preferred_username": "anna"}


@contextmanager
def openid_provider() -> Iterator[str]:
    """A process of its own; yields its address."""
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


def configuration(openid: str, api: Api) -> dict[str, str]:
    """What the master has to know about it."""
    return {
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
