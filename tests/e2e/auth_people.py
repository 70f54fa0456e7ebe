"""Users of the running suite, made as an operator makes them and removed afterwards."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.suite import Api, Suite

_CLIENT = httpx.Client(timeout=20)


class QuickApi(Api):
    """Keeps its connection: for tests of many hundred requests."""

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            options["json"] = body
        return _CLIENT.request(method, f"{self.url}{path}", headers=headers, **options)


def person(suite: Suite, admin: Api, email: str, *roles: str) -> Api:
    """A new user with a token that an administrator made."""
    words = [word for role in roles for word in ("--role", role)]
    command = [".venv/bin/python", "-m", "deploy.local", "admin", "create-user", "--email", email, *words]
    subprocess.run(command, cwd=suite.folder, env=suite.env, check=True, capture_output=True)
    body = {"response_type": "token", "scope": "user", "expires_in": "900", "user": email}
    token = admin.call("POST", "/oauth2/authorize", body, status=201)["access_token"]
    return QuickApi(admin.url, token, admin.grid)


@contextmanager
def people(suite: Suite, admin: Api, roles: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, Api]]:
    """Users by name; the e-mail of `x` is `x@people.example.com`."""
    made: dict[str, Api] = {}
    try:
        for name, held in roles.items():
            made[name] = person(suite, admin, email(name), *held)
        yield made
    finally:
        for name in made:
            admin.request("DELETE", f"/v1/users/{email(name)}")


def email(name: str) -> str:
    return f"{name}@people.example.com"
