"""HEAD is GET without the body, on every path and over every protocol."""

import json

import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import connect

REFUSAL = {"abort": ["NOT_FOUND", "m"], "trailing": [["x-http-status", "404"], ["x-error-json", '{"error":"m"}']]}
CHALLENGE = {
    "abort": ["UNAUTHENTICATED", "m"],
    "trailing": [["x-http-status", "401"], ["x-error-json", '{"error":"m"}'], ["www-authenticate", "Bearer"]],
}


@pytest.mark.parametrize(
    ("path", "plan"),
    [
        ("/v1/grids", None),
        ("/v1/grids/g", {"reply": {"name": "g" * 5000}}),
        ("/v1/user", {"initial": [["etag", '"v1"'], ["x-http-status", "203"]]}),
        ("/v1/nodes/g/n", REFUSAL),
        ("/v1/user", CHALLENGE),
        ("/v1/services/g/s/web/container_logs", {"burst": 50}),
        ("/nope", None),
        ("/v1/nodes/g/%00", None),
        ("/v1/etcd/g//a", None),
        ("/v1/containers/g/n/c/exec", None),
        ("/", None),
        ("/healthz", None),
        ("/readyz", None),
        ("/openapi.json", None),
    ],
)
@pytest.mark.parametrize("coding", ["identity", "gzip, br"])
def test_head_answers_as_get_does(call: Caller, path: str, plan: object, coding: str) -> None:
    get = call("GET", path, plan=plan, accept_encoding=coding)
    head = call("HEAD", path, plan=plan, accept_encoding=coding)
    assert head.status_code == get.status_code
    assert head.content == b""
    # What is known only when a body is made may be left out.
    own = {"content-length", "transfer-encoding", "content-encoding", "x-request-id", "date"}
    assert {name: head.headers[name] for name in head.headers if name not in own} == {
        name: get.headers[name] for name in get.headers if name not in own
    }


def test_nothing_of_a_body_is_sent_and_the_connection_goes_on(gateway: Gateway) -> None:
    plan = json.dumps({"reply": {"name": "g" * 5000}})
    with connect(gateway.target) as connection:
        for path in ("/v1/grids/g", "/openapi.json", "/nope", "/v1/services/g/s/web/container_logs"):
            connection.send("HEAD", path, x_test=plan, accept_encoding="gzip")
            connection.head()
        connection.send("GET", "/v1/ping")
        status, headers = connection.head()
        assert (status, json.loads(connection.body(headers))) == (200, {"message": "pong"})


@pytest.mark.parametrize("query", ["follow=1", "limit=1&follow=1&since="])
def test_a_follower_without_a_body_ends(call: Caller, query: str) -> None:
    response = call("HEAD", f"/v1/services/g/s/web/container_logs?{query}")
    assert response.status_code == 200
    assert call.seen.message.follow == ""


def test_head_reads_only(call: Caller) -> None:
    assert call("HEAD", "/v1/services/g/s/web/deploy").status_code == 404
    assert call.last is None
