"""Users of the running suite, made by invitations and removed afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.suite import Api

_CLIENT = httpx.Client(timeout=60)

# Enough of a provider for invitations; nobody answers at its addresses.
PROVIDER = {
    "oauth2.client_id": "e2e-client",
    "oauth2.client_secret": "e2e-client-secret",
    "oauth2.authorize_endpoint": "http://127.0.0.1:9/authorize?old=1",
    "oauth2.token_endpoint": "http://127.0.0.1:9/token",
    "oauth2.userinfo_endpoint": "http://127.0.0.1:9/userinfo",
    "server.root_url": "https://master.example.com:8443",
}


class QuickApi(Api):
    """Keeps its connection: for tests of many hundred requests."""

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        return _CLIENT.request(method, url, **options)


def token_of(admin: Api, address: str, *, scope: str = "user", seconds: int = 900) -> dict[str, Any]:
    """A new token of a user, made by an administrator."""
    body = {"response_type": "token", "scope": scope, "expires_in": seconds, "user": address}
    return admin.call("POST", "/oauth2/authorize", body, status=201)


@contextmanager
def configured(admin: Api, values: Mapping[str, Any] = PROVIDER) -> Iterator[Api]:
    """The configuration with these values on top; afterwards as it was."""
    before = admin.call("GET", "/v1/config")
    admin.call("PATCH", "/v1/config", dict(values))
    try:
        yield admin
    finally:
        admin.call("PUT", "/v1/config", before)


@contextmanager
def people(admin: Api, roles: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, Api]]:
    """Users by name, with the roles given; the e-mail of `x` is `x@people.example.com`."""
    try:
        with configured(admin):
            for name in roles:
                admin.call("POST", "/oauth2/authorize", {"response_type": "invite", "email": email(name)}, status=201)
        for name, held in roles.items():
            for role in held:
                admin.call("POST", f"/v1/users/{email(name)}/roles", {"role": role}, status=201)
        yield {name: QuickApi(admin.url, token_of(admin, email(name))["access_token"], admin.grid) for name in roles}
    finally:
        for name in roles:
            admin.request("DELETE", f"/v1/users/{email(name)}")


def email(name: str) -> str:
    return f"{name}@people.example.com"
