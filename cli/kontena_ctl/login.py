"""Tokens from the OAuth2 endpoints of the master."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kontena_client import ApiError, Client
from kontena_ctl.contexts import Context
from kontena_ctl.failures import Failure

_BROWSER_SECONDS = 300.0


def exchanged(context: Context, grant: Mapping[str, str]) -> Context:
    """The context with the tokens that a grant gives. Raises Failure when it is refused."""
    with Client(context.url, ca_file=context.ca_file, user_agent="kontena-ctl") as client:
        try:
            answer = client.call("POST", "/oauth2/token", {}, dict(grant), {})
        except ApiError as error:
            raise Failure(f"{context.url} does not accept it: {error.message}", "kctl login URL") from error
    return _with_tokens(context, answer)


def refreshed(context: Context) -> Context:
    """The context with a new token in place of the one that is over."""
    return exchanged(context, {"grant_type": "refresh_token", "refresh_token": context.refresh_token})


def _with_tokens(context: Context, answer: Mapping[str, Any]) -> Context:
    lasts = answer.get("expires_in") or 0
    return replace(
        context,
        token=str(answer["access_token"]),
        refresh_token=str(answer.get("refresh_token") or ""),
        expires_at=time.time() + lasts if lasts else 0,
    )


def browser_code(
    context: Context, invite: str, show: Callable[[str], None], seconds: float = _BROWSER_SECONDS
) -> dict[str, str]:
    """Log in with the browser: what the master sends it back with, to a port of this machine. `show` gets the address
    that is opened; `invite` is the code of an invitation, if there is one. Raises Failure."""
    import webbrowser  # noqa: PLC0415
    from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: PLC0415
    from urllib.parse import parse_qsl, urlsplit  # noqa: PLC0415

    got: dict[str, str] = {}

    class Back(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.update(parse_qsl(urlsplit(self.path).query))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"You can close this page and go back to your terminal.\n")

        def log_message(self, *_: object) -> None:
            """Nobody wants to know."""

    with HTTPServer(("127.0.0.1", 0), Back) as server:
        server.timeout = 1.0
        address = authorization(context, f"http://localhost:{server.server_port}/cb", invite)
        show(address)
        webbrowser.open(address)
        deadline = time.monotonic() + seconds
        while not ({"code", "error"} & set(got)):
            if time.monotonic() > deadline:
                raise Failure("Nobody came back from the browser.", "kctl login URL --code CODE")
            server.handle_request()
    if "error" in got:
        raise Failure(f"The login was refused: {got.get('error_description') or got['error']}")
    return got


def authorization(context: Context, redirect_uri: str, invite: str = "") -> str:
    """The address that a browser opens for a login: of the master, which binds the login to this browser and sends it
    on to the identity provider. Raises Failure when the master has no provider, or does not know the invitation."""
    from urllib.parse import urlencode  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    query = {"redirect_uri": redirect_uri, "expires_in": "28800"} | ({"invite_code": invite} if invite else {})
    with Client(context.url, ca_file=context.ca_file) as client:
        address = f"{client.url}/authenticate?{urlencode(query)}"
        answer = httpx.get(address, **client.options)
    if answer.status_code != 302:
        try:
            said = answer.json()
            reason = said.get("error_description") or said.get("error")
        except ValueError:
            reason = answer.text
        hint = "kctl login URL --token TOKEN or --code CODE"
        raise Failure(f"{context.url} has no login with the browser: {reason}", hint)
    return address
