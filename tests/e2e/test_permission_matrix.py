"""Every kind of caller times every RPC of every service: nobody gets in where they do not belong.

The RPCs come from the descriptors. One that has no row in `permission_rows.py` fails here, and so does a row too many.
An allowed call may fail for another reason (nothing has the id, the body is empty); a refused one must be refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.catalog import Binding, Method, Service, load_descriptors, services
from kontena.common.v1 import options_pb2
from tests.e2e.auth_people import QuickApi, configured, email, people, token_of
from tests.e2e.permission_rows import GRID, HOST_LEVEL, INVITED, LIMITED, NODE, ROWS, STRANGERS, USERS, VICTIM, Call
from tests.support.suite import Api, Suite, soon

CATALOG = services(load_descriptors(Path(__file__).parents[2] / "gen" / "descriptors.binpb"))
PUBLIC = {method.path: method for service in CATALOG if service.public for method in service.methods}
OTHERS = [(service, method) for service in CATALOG if not service.public for method in service.methods]
REST = [(path, binding) for path, method in PUBLIC.items() for binding in method.bindings]
GRPC_ONLY = [path for path, method in PUBLIC.items() if not method.bindings]
# The offset of a service's port in the local suite.
PORTS = {"auth": 1, "grid": 2, "deploy": 3, "vault": 4}


def test_every_rpc_has_a_row() -> None:
    assert set(ROWS) == set(PUBLIC)
    assert all(ROWS.values())


@pytest.fixture(scope="module")
def callers(api: Api) -> Iterator[dict[str, Api]]:
    api.call("POST", "/v1/grids", {"name": GRID}, status=201)
    try:
        with people(api, {name: roles for name, (roles, _) in USERS.items()}) as made, configured(api):
            for name, (_, member) in USERS.items():
                if member:
                    api.call("POST", f"/v1/grids/{GRID}/users", {"email": email(name)}, status=201)
            yield {**made, **strangers(api), **limited(api)}
    finally:
        for user in (VICTIM, INVITED):
            api.request("DELETE", f"/v1/users/{user}")
        api.request("DELETE", "/v1/grids/matrix-scratch")
        api.request("DELETE", f"/v1/nodes/{GRID}/{NODE}")
        for name in ("guard", HOST_LEVEL):
            api.request("DELETE", f"/v1/services/{GRID}/null/{name}")
        api.request("DELETE", f"/v1/volumes/{GRID}/{HOST_LEVEL}")
        soon(lambda: api.request("DELETE", f"/v1/grids/{GRID}").status_code == 200, message="the grid is gone")


def limited(admin: Api) -> dict[str, Api]:
    """Callers who may do all, with tokens that give less."""
    made = {name: token_of(admin, email("master-admin"), scope=scope, seconds=3600) for name, scope in LIMITED.items()}
    return {name: QuickApi(admin.url, token["access_token"], admin.grid) for name, token in made.items()}


def strangers(admin: Api) -> dict[str, Api]:
    """Callers whose token is none, or none any more: the services have seen it work."""
    expired = QuickApi(admin.url, token_of(admin, email("grid-admin"), seconds=2)["access_token"], admin.grid)
    token = token_of(admin, email("grid-admin"))
    revoked = QuickApi(admin.url, token["access_token"], admin.grid)
    for path in (f"/v1/grids/{GRID}", f"/v1/grids/{GRID}/services", f"/v1/grids/{GRID}/secrets"):
        assert revoked.request("GET", path).status_code == 200
        assert expired.request("GET", path).status_code in (200, 401)
    admin.call("DELETE", f"/oauth2/tokens/{token['id']}")
    soon(lambda: expired.request("GET", f"/v1/grids/{GRID}").status_code == 401, message="the token expires")
    return {
        "anonymous": QuickApi(admin.url, "", admin.grid),
        "garbage": QuickApi(admin.url, "0" * 64, admin.grid),
        "revoked": revoked,
        "expired": expired,
    }


@pytest.mark.parametrize(("path", "binding"), REST, ids=[f"{b.verb} {b.template}" for _, b in REST])
def test_nobody_gets_in_by_rest(api: Api, callers: dict[str, Api], path: str, binding: Binding) -> None:
    admin = QuickApi(api.url, api.token, api.grid)
    wrong = []
    for call in ROWS[path]:
        for name in in_order(callers, call):
            target = call.path or address(binding.template)
            answer = callers[name].request(binding.verb, target.format(**call.prepare(admin)), call.body)
            wrong += differs(name, call, PUBLIC[path], verdict(answer), f"{answer.status_code} {answer.text[:120]}")
    assert wrong == []


@pytest.mark.parametrize("path", GRPC_ONLY)
def test_nobody_gets_in_by_grpc(api: Api, callers: dict[str, Api], path: str) -> None:
    wrong = []
    with grpc.insecure_channel(api.url.removeprefix("http://")) as channel:
        for call in ROWS[path]:
            for name in in_order(callers, call):
                code = invoke(channel, PUBLIC[path], callers[name].token, call.message.SerializeToString())
                verdicts = {grpc.StatusCode.PERMISSION_DENIED: "refused", grpc.StatusCode.UNAUTHENTICATED: "unknown"}
                wrong += differs(name, call, PUBLIC[path], verdicts.get(code, "allowed"), str(code))
    assert wrong == []


def test_users_and_strangers_reach_no_rpc_of_services_and_agents(suite: Suite, callers: dict[str, Api]) -> None:
    """Not even at the ports of the services, which only the gateway and other services reach."""
    wrong = []
    for service, method in OTHERS:
        if method.open:
            continue
        with grpc.insecure_channel(f"127.0.0.1:{suite.port_base + PORTS[service.upstream]}") as channel:
            for name, caller in callers.items():
                code = invoke(channel, method, caller.token, b"")
                if code is not grpc.StatusCode.UNAUTHENTICATED:
                    wrong.append(f"{name} at {method.path}: {code}")
    assert wrong == []


def test_internal_rpcs_have_no_way_in_through_the_gateway(api: Api) -> None:
    internal = [method for service, method in OTHERS if is_internal(service)]
    assert internal
    with grpc.insecure_channel(api.url.removeprefix("http://")) as channel:
        codes = {method.path: invoke(channel, method, api.token, b"") for method in internal}
    assert set(codes.values()) <= {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}, codes


def is_internal(service: Service) -> bool:
    return service.audience == options_pb2.AUDIENCE_INTERNAL


def in_order(callers: dict[str, Api], call: Call) -> list[str]:
    """Those who are refused first: an allowed call may take away what the next one needs."""
    return sorted(callers, key=lambda name: name in call.allowed)


def differs(name: str, call: Call, method: Method, found: str, details: str) -> list[str]:
    """What is wrong about the answer a caller got."""
    refusal = "unknown" if name in STRANGERS and not method.open else "refused"
    expected = "allowed" if name in call.allowed else refusal
    return [] if found == expected else [f"{name}: {found} instead of {expected} ({details})"]


def verdict(answer: httpx.Response) -> str:
    """What an answer says about the caller's rights. A provider that is not there (501, 502) is another matter."""
    if answer.status_code >= 500 and answer.status_code not in (501, 502):
        return "failed"
    if answer.status_code == 401:
        return "unknown"
    denied = answer.status_code in (400, 422) and "Operation not allowed" in answer.text
    return "refused" if answer.status_code == 403 or denied else "allowed"


def invoke(channel: grpc.Channel, method: Method, token: str, message: bytes) -> grpc.StatusCode:
    """The status of a call with these bytes; the first answer of a stream is enough."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    call: Any = channel.stream_stream(method.path)
    responses = call(iter([message]), metadata=metadata, timeout=60)
    try:
        next(responses, None)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    responses.cancel()
    return grpc.StatusCode.OK


def address(template: str) -> str:
    """A path in the matrix' grid; node paths name its node, all other ids are unknown."""
    name = NODE if template.startswith("/v1/nodes/") else "nobody"

    def fill(match: re.Match[str]) -> str:
        words = (match[1].partition("=")[2] or match[1]).split("/")
        return "/".join([GRID, *["null" if len(words) == 3 else name], name][: len(words)]) if "*" in words else name

    return re.sub(r"\{([^}]+)\}", fill, template.replace("{grid}", GRID))
