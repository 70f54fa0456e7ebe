"""Refusals and reads of every documented route on the running suite. The table is the OpenAPI document."""

import json
import re
import uuid
from typing import Any

import grpc
import pytest

from gateway import catalog
from gateway.exec_bridge.target import PATH as EXEC_PATH
from tests.support.api_document import DOCUMENT, OPERATIONS, SETTINGS, check_against_document
from tests.support.suite import Api

SERVICES = catalog.services(catalog.load_descriptors(SETTINGS.descriptors))
ROWS = [(verb, path, operation) for (verb, path), operation in OPERATIONS.items()]
PROTECTED = [row for row in ROWS if row[2]["security"]]
OPEN = [row for row in ROWS if not row[2]["security"]]
WITH_BODY = [row for row in PROTECTED if "application/json" in row[2].get("requestBody", {}).get("content", {})]
# To remove what is not there.
NO_ERROR = {("DELETE", "/v1/config/{key}")}
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def ids(rows: list[Any]) -> list[str]:
    return [f"{verb} {path}" for verb, path, _ in rows]


def filled(path: str, grid: str = "") -> str:
    """The path with names that do not exist; the grid does when it is given."""
    unknown = f"no-{uuid.uuid4().hex[:8]}"
    return re.sub(r"\{(\w+)\}", lambda match: grid if grid and match[1] == "grid" else unknown, path)


def test_the_served_document_is_the_one_of_the_protos(api: Api) -> None:
    served = api.call("GET", "/openapi.json")
    assert json.dumps(served, sort_keys=True) == json.dumps(DOCUMENT, sort_keys=True)


@pytest.mark.parametrize(("verb", "path", "operation"), PROTECTED, ids=ids(PROTECTED))
def test_without_a_token(api: Api, verb: str, path: str, operation: dict[str, Any]) -> None:
    answer = Api(api.url, "", api.grid).request(verb, filled(path, api.grid))
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"] == "invalid_token"
    check_against_document(answer, operation)


@pytest.mark.parametrize(("verb", "path", "operation"), OPEN, ids=ids(OPEN))
def test_open_routes_without_a_token(api: Api, verb: str, path: str, operation: dict[str, Any]) -> None:
    answer = Api(api.url, "", api.grid).request(verb, path, follow_redirects=False)
    assert answer.status_code != 401 or path == "/oauth2/token", answer.text
    check_against_document(answer, operation)


@pytest.mark.parametrize(
    ("verb", "path", "operation"),
    [row for row in PROTECTED if row[0] == "GET" and "follow" not in str(row[2]["parameters"])],
    ids=ids([row for row in PROTECTED if row[0] == "GET" and "follow" not in str(row[2]["parameters"])]),
)
def test_reads_with_a_token(api: Api, verb: str, path: str, operation: dict[str, Any]) -> None:
    answer = api.request(verb, filled(path, api.grid))
    check_against_document(answer, operation)
    # Nothing else exists than the grid.
    assert answer.status_code in ({200} if not re.findall(r"\{(?!grid\})", path) else {200, 404}), answer.text


@pytest.mark.parametrize(
    ("verb", "path", "operation"),
    [row for row in PROTECTED if row[0] != "GET" and "{" in row[1]],
    ids=ids([row for row in PROTECTED if row[0] != "GET" and "{" in row[1]]),
)
def test_writes_to_what_does_not_exist(api: Api, verb: str, path: str, operation: dict[str, Any]) -> None:
    answer = api.request(verb, filled(path), {})
    assert answer.status_code in ({200} if (verb, path) in NO_ERROR else {404, 422}), answer.text
    check_against_document(answer, operation)


@pytest.mark.parametrize(("verb", "path", "operation"), WITH_BODY, ids=ids(WITH_BODY))
@pytest.mark.parametrize("text", ["{", "[]", '{"a":' + "[" * 200], ids=["broken", "array", "deep"])
def test_bad_json(api: Api, verb: str, path: str, operation: dict[str, Any], text: str) -> None:
    answer = api.request(verb, filled(path, api.grid), content=text.encode())
    if path.startswith("/oauth2/"):
        assert 400 <= answer.status_code < 500, answer.text
    else:
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid json"})
        check_against_document(answer, operation)


@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]))
def test_wrong_methods(api: Api, path: str) -> None:
    target = filled(path, api.grid)
    for verb in VERBS:
        if verb.lower() not in DOCUMENT["paths"][path] and not _other_route(verb, target):
            answer = api.request(verb, target)
            assert (answer.status_code, answer.json()) == (404, {"error": "Not found"}), verb


def _other_route(verb: str, target: str) -> bool:
    """Whether another documented path matches: `/v1/grids/{grid}/secrets` and `/v1/grids/{grid}/{x}`; or the one
    WebSocket, which has no place in the document."""
    if verb == "GET" and re.fullmatch(EXEC_PATH, target):
        return True
    patterns = [re.sub(r"\{\w+\}", "[^/]+", path) for path, item in DOCUMENT["paths"].items() if verb.lower() in item]
    return any(re.fullmatch(pattern, target) for pattern in patterns)


@pytest.mark.parametrize(
    "path",
    ["/v1/../openapi.json/x", "/v1//grids", "/v1/grids/%2e%2e/%2e%2e/etc/passwd", "/v1/grids%2F", "/V1/grids"],
)  # fmt: skip
def test_path_tricks_lead_nowhere(api: Api, path: str) -> None:
    answer = api.request("GET", path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


def test_internal_headers_of_clients_mean_nothing(api: Api) -> None:
    spoofed = {
        "x-http-status": "500", "x-error-json": "{}", "x-body-fields": "name", "x-forwarded-for": "10.0.0.1",
        "x-envoy-original-path": "/kontena.vault.v1.SecretDeliveryService/X", "x-kontena-principal": "admin",
        "grpc-timeout": "1n",
    }  # fmt: skip
    for token, status in ((api.token, 200), ("", 401)):
        assert Api(api.url, token, api.grid).request("GET", "/v1/grids", headers=spoofed).status_code == status


NOT_PUBLIC = [(service, method) for service in SERVICES if not service.public for method in service.methods]


@pytest.mark.parametrize(("service", "method"), NOT_PUBLIC, ids=[method.path for _, method in NOT_PUBLIC])
def test_a_user_reaches_no_rpc_of_services_and_agents(
    api: Api, service: catalog.Service, method: catalog.Method
) -> None:
    """With the token of the administrator: internal ones are not there, those of agents take node sessions only. That
    which opens such a session reads a message first."""
    refusals = {"UNAUTHENTICATED", "PERMISSION_DENIED"} if service.routed else {"UNIMPLEMENTED"}
    with grpc.insecure_channel(api.url.removeprefix("http://")) as channel:
        call: Any = channel.stream_stream(method.path)
        metadata = (("authorization", f"Bearer {api.token}"),)
        with pytest.raises(grpc.RpcError) as raised:
            list(call(iter([b""]), metadata=metadata, timeout=60))
    assert raised.value.code().name in ({"INVALID_ARGUMENT"} if method.open else refusals), raised.value.details()
