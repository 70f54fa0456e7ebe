"""Who may call what: every kind of caller times every REST binding of the protos (spec/auth_grid.md section 2.2).

The bindings come from the descriptors, so a new one is tested from its first day: in a grid, members read and members
other than viewers change, unless EXCEPTIONS says something else; outside of grids a binding has to be in EXCEPTIONS.
An allowed call may fail for another reason (nothing has the id, the body is empty), a refused one must be refused.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.catalog import load_descriptors, services
from tests.e2e.auth_people import QuickApi, email, people
from tests.support.suite import Api, Suite, soon

GRID = "permission-matrix"
NODE = "matrix-node"

# Name of the caller: the roles held, and whether a member of the grid.
CALLERS: dict[str, tuple[tuple[str, ...], bool]] = {
    "outsider": ((), False),
    "outside-viewer": (("viewer",), False),
    "outside-grid-admin": (("grid_admin",), False),
    "user-admin": (("user_admin",), False),
    "member": ((), True),
    "viewer": (("viewer",), True),
    "grid-admin": (("grid_admin",), True),
    "member-user-admin": (("user_admin",), True),
    "master-admin": (("master_admin",), False),
}
ANONYMOUS = "anonymous"
USERS = frozenset(CALLERS)
ANYBODY = USERS | {ANONYMOUS}
MASTERS = frozenset({"master-admin"})
USER_ADMINS = MASTERS | {"user-admin", "member-user-admin"}
MEMBERS = MASTERS | {name for name, (_, member) in CALLERS.items() if member}
CHANGERS = MEMBERS - {"viewer"}
GRID_ADMINS = MASTERS | {"grid-admin"}
MEMBER_ADMINS = GRID_ADMINS | {"member-user-admin"}

VICTIM = email("victim")
PROVIDER = {
    "oauth2.client_id": "matrix",
    "oauth2.client_secret": "matrix",
    "oauth2.authorize_endpoint": "http://127.0.0.1:9/a",
    "oauth2.token_endpoint": "http://127.0.0.1:9/t",
    "oauth2.userinfo_endpoint": "http://127.0.0.1:9/u",
    "server.root_url": "http://127.0.0.1:9",
}
Prepare = Callable[[Api], dict[str, str]]


@dataclass(frozen=True)
class Call:
    """`prepare` makes what the call needs and returns values for placeholders in path and body."""

    allowed: frozenset[str]
    body: Any = None
    path: str | None = None
    prepare: Prepare = lambda _admin: {}


def victim(admin: Api) -> dict[str, str]:
    """A user whom nobody minds losing."""
    admin.call("PATCH", "/v1/config", PROVIDER)
    admin.call("POST", "/oauth2/authorize", {"response_type": "invite", "email": VICTIM}, status=201)
    return {}


def configured(admin: Api) -> dict[str, str]:
    admin.call("PATCH", "/v1/config", PROVIDER)
    return {}


def strangers_token(admin: Api) -> dict[str, str]:
    """A token of the local administrator."""
    body = {"response_type": "token", "scope": "user", "expires_in": "60"}
    return {"token": admin.call("POST", "/oauth2/authorize", body, status=201)["id"]}


def node(admin: Api) -> dict[str, str]:
    answer = admin.request("POST", f"/v1/grids/{GRID}/nodes", {"name": NODE})
    assert answer.status_code in (201, 422), answer.text
    return {}


def service(admin: Api) -> dict[str, str]:
    """A service that is never deployed and keeps its grid from being deleted."""
    body = {"name": "guard", "image": "none", "stateful": False}
    assert admin.request("POST", f"/v1/grids/{GRID}/services", body).status_code in (201, 422)
    return {}


def scratch_grid(admin: Api) -> dict[str, str]:
    admin.request("DELETE", "/v1/grids/matrix-scratch")
    return {}


MINT = {"response_type": "token", "scope": "user", "expires_in": "60"}
INVITE = {"response_type": "invite", "email": VICTIM}
EXCEPTIONS: dict[str, list[Call]] = {
    "POST /oauth2/token": [Call(ANYBODY, {"grant_type": "authorization_code", "code": "no-such-code"})],
    "GET /oauth2/authenticate": [Call(ANYBODY)],
    "GET /authenticate": [Call(ANYBODY)],
    "GET /cb": [Call(ANYBODY)],
    "GET /code": [Call(ANYBODY)],
    # Refuses everybody, whoever they are.
    "POST /v1/auth": [Call(frozenset(), {})],
    "GET /oauth2/tokens": [Call(USERS)],
    "GET /oauth2/tokens/{id}": [Call(MASTERS, path="/oauth2/tokens/{token}", prepare=strangers_token)],
    "DELETE /oauth2/tokens/{id}": [Call(MASTERS, path="/oauth2/tokens/{token}", prepare=strangers_token)],
    "POST /oauth2/authorize": [
        Call(USERS, MINT),
        Call(MASTERS, {**MINT, "user": "admin"}),
        Call(USER_ADMINS, INVITE, prepare=configured),
    ],
    "GET /v1/user": [Call(USERS)],
    "GET /v1/users": [Call(USER_ADMINS)],
    "DELETE /v1/users/{email}": [Call(USER_ADMINS, path=f"/v1/users/{VICTIM}", prepare=victim)],
    "POST /v1/users/{email}/roles": [
        Call(MASTERS, {"role": "viewer"}, path=f"/v1/users/{VICTIM}/roles", prepare=victim)
    ],
    "DELETE /v1/users/{email}/roles/{role}": [Call(MASTERS, path=f"/v1/users/{VICTIM}/roles/viewer", prepare=victim)],
    "GET /v1/config": [Call(MASTERS)],
    "GET /v1/config/{key}": [Call(MASTERS)],
    "PATCH /v1/config": [Call(MASTERS, {"matrix.key": 1})],
    "PUT /v1/config": [Call(MASTERS, {"matrix.key": 2})],
    "DELETE /v1/config": [Call(MASTERS)],
    "DELETE /v1/config/{key}": [Call(MASTERS)],
    "GET /v1/audit_logs": [Call(MASTERS)],
    "POST /v1/grids/{grid}/users": [Call(MEMBER_ADMINS, {"email": VICTIM}, prepare=victim)],
    "DELETE /v1/grids/{grid}/users/{email}": [
        Call(MEMBER_ADMINS, path=f"/v1/grids/{GRID}/users/{VICTIM}", prepare=victim)
    ],
    "GET /v1/grids": [Call(USERS)],
    "POST /v1/grids": [Call(MASTERS, {"name": "matrix-scratch"}, prepare=scratch_grid)],
    "PUT /v1/grids/{grid}": [Call(GRID_ADMINS, {})],
    "PUT /v1/grids/{grid}/token": [Call(GRID_ADMINS, {})],
    "DELETE /v1/grids/{grid}": [Call(MASTERS, prepare=service)],
    "POST /v1/grids/{grid}/nodes": [Call(GRID_ADMINS, {"name": NODE})],
    "GET /v1/nodes/{id=*/*}/token": [Call(GRID_ADMINS, prepare=node)],
    "PUT /v1/nodes/{id=*/*}/token": [Call(GRID_ADMINS, {}, prepare=node)],
    "DELETE /v1/nodes/{id=*/*}/token": [Call(GRID_ADMINS, {}, prepare=node)],
    # Asks for the join token of a grid instead of a user's: without one every node is unknown.
    "GET /v1/nodes/{node_id}": [Call(ANYBODY, path="/v1/nodes/NOSUCH:ENGINE")],
    "PUT /v1/nodes/{node_id}": [Call(ANYBODY, {}, path="/v1/nodes/NOSUCH:ENGINE")],
}


def bindings() -> list[str]:
    path = Path(__file__).parents[2] / "gen" / "descriptors.binpb"
    public = [service for service in services(load_descriptors(path)) if service.public]
    return sorted(
        {f"{b.verb} {b.template}" for service in public for method in service.methods for b in method.bindings}
    )


def calls(binding: str) -> list[Call]:
    """What to try for a binding."""
    if binding in EXCEPTIONS:
        return EXCEPTIONS[binding]
    assert re.search(r"\{grid\}|\{id=\*/", binding), f"{binding} is in no grid: EXCEPTIONS must say who may call it"
    return [Call(MEMBERS) if binding.startswith("GET ") else Call(CHANGERS, {})]


def address(template: str) -> str:
    """A path in the matrix' grid; node paths name its node, all other ids are unknown."""
    name = NODE if template.startswith("/v1/nodes/") else "nobody"

    def fill(match: re.Match[str]) -> str:
        words = (match[1].partition("=")[2] or match[1]).split("/")
        return "/".join([GRID, *["null" if len(words) == 3 else name], name][: len(words)]) if "*" in words else name

    return re.sub(r"\{([^}]+)\}", fill, template.replace("{grid}", GRID))


@pytest.fixture(scope="module")
def callers(suite: Suite, api: Api) -> Iterator[dict[str, Api]]:
    before = api.call("GET", "/v1/config")
    api.call("POST", "/v1/grids", {"name": GRID}, status=201)
    try:
        with people(suite, api, {name: roles for name, (roles, _) in CALLERS.items()}) as made:
            for name, (_, member) in CALLERS.items():
                if member:
                    api.call("POST", f"/v1/grids/{GRID}/users", {"email": email(name)}, status=201)
            yield {**made, ANONYMOUS: QuickApi(api.url, "", api.grid)}
    finally:
        api.request("DELETE", f"/v1/users/{VICTIM}")
        api.request("DELETE", "/v1/grids/matrix-scratch")
        api.request("DELETE", f"/v1/nodes/{GRID}/{NODE}")
        api.request("DELETE", f"/v1/services/{GRID}/null/guard")
        soon(lambda: api.request("DELETE", f"/v1/grids/{GRID}").status_code == 200, message="the grid is gone")
        api.call("PUT", "/v1/config", before)


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 403 or (answer.status_code in (400, 422) and "Operation not allowed" in answer.text)


@pytest.mark.parametrize("binding", bindings())
def test_nobody_gets_in_where_they_do_not_belong(api: Api, callers: dict[str, Api], binding: str) -> None:
    verb, template = binding.split(" ", 1)
    admin = QuickApi(api.url, api.token, api.grid)
    wrong = []
    for call in calls(binding):
        # Those who are refused first: an allowed call may take away what the next one needs.
        for name in sorted(callers, key=lambda name: name in call.allowed):
            path = (call.path or address(template)).format(**call.prepare(admin))
            answer = callers[name].request(verb, path, call.body)
            if answer.status_code >= 500:
                verdict = "fails" if answer.status_code not in (501, 502) else "allowed"
            elif answer.status_code == 401:
                verdict = "unknown"
            else:
                verdict = "refused" if refused(answer) else "allowed"
            expected = "allowed" if name in call.allowed else "unknown" if name == ANONYMOUS else "refused"
            if verb + template == "POST/v1/auth":
                expected = "refused"
            if verdict != expected:
                wrong.append(f"{name}: {verdict} instead of {expected} ({answer.status_code} {answer.text[:120]})")
    assert wrong == []
