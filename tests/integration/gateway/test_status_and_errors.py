"""Status override, error bodies and the default mapping of gRPC codes (gateway/README.md)."""

import json
from typing import Any

import grpc
import pytest

from tests.integration.gateway.conftest import Caller, raw

LOGS = "/v1/services/g/s/web/container_logs"
HOME = "/v1/grids/g"


def failing(code: str, message: str = "m", *, early: bool = False, **metadata: str) -> dict[str, Any]:
    trailing = [[name.replace("_", "-"), value] for name, value in metadata.items()]
    return {"abort": [code, message], "trailing": trailing, **({"initial": [["x-early", "1"]]} if early else {})}


def test_service_decides_the_success_status(call: Caller) -> None:
    response = call("POST", "/v1/grids", {"name": "g"}, {"initial": [["x-http-status", "201"]], "reply": {"name": "g"}})
    assert response.status_code == 201
    assert response.json()["name"] == "g"
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-http-", "x-error-"))]


def test_redirect_of_a_raw_body_method(call: Caller) -> None:
    plan = {"initial": [["x-http-status", "302"], ["location", "/code"]], "reply": {"content_type": "text/plain"}}
    response = call("POST", "/oauth2/authorize", "a=b", plan)
    assert (response.status_code, response.headers["location"]) == (302, "/code")


@pytest.mark.parametrize("early", [False, True], ids=["trailers only", "after initial metadata"])
@pytest.mark.parametrize("path", [HOME, LOGS, "/v1/user"], ids=["unary", "stream", "other service"])
def test_service_decides_error_status_and_exact_body(call: Caller, path: str, early: bool) -> None:
    body = json.dumps({"error": {"name": 'can\'t be "blank", é\n', "list": [None, "x"]}})
    plan = failing("INVALID_ARGUMENT", early=early, x_http_status="422", x_error_json=body)
    response = call("GET", path, plan=plan)
    assert response.status_code == 422
    assert response.text == body
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["content-length"]) == len(body)
    assert "x-error-json" not in response.headers
    assert "x-http-status" not in response.headers


def test_raw_body_method_fails_with_json(call: Caller) -> None:
    plan = failing("INVALID_ARGUMENT", x_http_status="400", x_error_json='{"error":"invalid_grant"}')
    response = call("POST", "/oauth2/token", "grant_type=x", plan)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize("early", [False, True])
def test_challenge_of_401_passes(call: Caller, early: bool) -> None:
    challenge = 'Bearer realm="kontena_master", error="invalid_token", error_description="Invalid token"'
    body = '{"error":"invalid_token","error_description":"Invalid token"}'
    plan = failing("UNAUTHENTICATED", early=early, x_http_status="401", x_error_json=body, www_authenticate=challenge)
    response = call("GET", HOME, plan=plan)
    assert (response.status_code, response.text) == (401, body)
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("CANCELLED", 499),
        ("INVALID_ARGUMENT", 400),
        ("DEADLINE_EXCEEDED", 504),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403),
        ("RESOURCE_EXHAUSTED", 429),
        ("FAILED_PRECONDITION", 400),
        ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501),
        ("UNAVAILABLE", 503),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_default_mapping(call: Caller, code: str, status: int) -> None:
    response = call("GET", HOME, plan=failing(code, 'say "é" \\ \n'))
    assert (response.status_code, response.json()) == (status, {"error": 'say "é" \\ \n'})


@pytest.mark.parametrize("code", ["UNKNOWN", "INTERNAL", "DATA_LOSS"])
def test_faults_of_ours_tell_nothing(call: Caller, code: str) -> None:
    response = call("GET", HOME, plan=failing(code, "KeyError: password"))
    assert (response.status_code, response.json()) == (500, {"error": "Internal server error"})


@pytest.mark.parametrize("status", ["", "abc", "99", "700", "1000", "2 0"])
def test_senseless_status_is_ignored(call: Caller, status: str) -> None:
    assert call("GET", HOME, plan={"initial": [["x-http-status", status]]}).status_code == 200


def test_grpc_callers_see_ordinary_grpc(channel: grpc.Channel) -> None:
    plan = failing("NOT_FOUND", "no such grid", x_http_status="404", x_error_json='{"error":"x"}')
    get = raw(channel, "unary_unary", "/kontena.grid.v1.GridService/GetGrid")
    with pytest.raises(grpc.RpcError) as raised:
        get(b"", metadata=(("x-test", json.dumps(plan)),))
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such grid")
    _, done = get.with_call(b"", metadata=(("x-test", json.dumps({"initial": [["x-http-status", "201"]]})),))
    assert done.code() == grpc.StatusCode.OK
