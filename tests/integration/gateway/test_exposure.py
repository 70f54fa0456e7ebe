"""What can be reached from outside, and what a client can make a service believe."""

from pathlib import Path

import grpc
import httpx
import pytest

from gateway.catalog import Service, load_descriptors, services
from gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Caller, raw
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import running, settings

ALL = services(load_descriptors(GatewaySettings().descriptors))
METHODS = [(service, method.path) for service in ALL for method in service.methods]


@pytest.mark.parametrize(("service", "path"), METHODS, ids=[path for _, path in METHODS])
def test_grpc_reaches_exactly_public_and_agent_services(
    call: Caller, channel: grpc.Channel, service: Service, path: str
) -> None:
    call.echo.calls.pop(path, None)
    with pytest.raises(grpc.RpcError) as raised:
        # A message no type accepts: the answer tells who read it.
        raw(channel, "unary_unary", path)(b"\x0a\xff", metadata=(("x-request-id", path),))
    reached = raised.value.code() != grpc.StatusCode.UNIMPLEMENTED
    assert reached == service.routed, raised.value


@pytest.mark.parametrize(
    "path",
    [
        "/kontena.grid.v1.GridWatchService/GetGridRecord",
        "/kontena.grid.v1.GridService/../GridWatchService/GetGridRecord",
        "/kontena.grid.v1.GridService/..%2FGridWatchService/GetGridRecord",
        "//kontena.grid.v1.GridWatchService/GetGridRecord",
        "/kontena.grid.v1.GridService/GetGrid/../../kontena.grid.v1.GridWatchService/GetGridRecord",
        "/kontena%2Egrid.v1.GridWatchService/GetGridRecord",
        "/kontena.grid.v1.GridService/Nope",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_other_rpcs_cannot_be_reached(call: Caller, channel: grpc.Channel, path: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        raw(channel, "unary_unary", path)(b"", metadata=(("x-request-id", "sneaky"),))
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "sneaky" not in call.echo.calls
    response = call("POST", path, "{}")
    assert (response.status_code, response.json()) == (404, {"error": "Not found"})
    assert call.last is None


def test_json_does_not_reach_grpc_paths(call: Caller) -> None:
    assert call("POST", "/kontena.grid.v1.GridService/ListGrids", "{}").status_code == 404
    assert call.last is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text", "Application/gRPC",
        "application/grpc;charset=x", "application/grpcx", "application/connect+proto", "application/proto", "",
    ],
)  # fmt: skip
def test_other_dialects_reach_no_rpc_at_all(call: Caller, content_type: str) -> None:
    for _, path in METHODS:
        response = call("POST", path, b"\0\0\0\0\0", content_type=content_type)
        assert (response.status_code, response.json()) == (404, {"error": "Not found"}), path
        assert call.last is None, path


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/nope", "/v1/nope", "/v1", "//v1/grids", "/v1/nodes/a/b/c/d", "/v1/x%2F../grids", "/V1/grids"]
)
def test_unknown_route(call: Caller, method: str, path: str) -> None:
    response = call(method, path)
    assert (response.status_code, response.json()) == (404, {"error": "Not found"})
    assert response.headers["content-type"] == "application/json"


def test_unknown_verb_of_a_known_path(call: Caller) -> None:
    assert call("PATCH", "/v1/grids").status_code == 404
    assert call("DELETE", "/v1/grids").status_code == 404


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/v1/nodes/g/AB:CD@x", "g/AB:CD@x"),
        ("/v1/nodes/g/AB%3ACD%40x", "g/AB:CD@x"),
        ("/v1/nodes/g/%C3%A9", "g/é"),
        ("/v1/nodes/g/a%20b+c", "g/a b+c"),
        ("/v1/nodes/g/n%2Fx", "g/n%2Fx"),
        ("/v1/nodes/x/../g/n", "g/n"),
        ("/v1/nodes/x/%2e%2e/g/n", "g/n"),
        ("/v1/nodes/g/n?x=1&y", "g/n"),
        ("/v1/nodes/g/n:verb", "g/n:verb"),
    ],
)
def test_ids_in_paths(call: Caller, path: str, seen: str) -> None:
    assert call("GET", path).status_code == 200
    assert call.seen.message.id == seen


@pytest.mark.parametrize("name", ["id", "i%64", "%69%64", "deployId", "deploy_id", "deploy%5Fid", "deploy%49d"])
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_query_cannot_override_the_path(call: Caller, name: str, verb: str) -> None:
    path = "/v1/services/g/s/web/deploys/7" if verb == "GET" else "/v1/services/g/s/web"
    assert call(verb, f"{path}?a=b&{name}=evil&{name}=evil").status_code == 200
    assert call.seen.message.id == "g/s/web"
    assert "evil" not in str(call.seen.message)


def test_body_cannot_override_the_path(call: Caller) -> None:
    assert call("PUT", "/v1/nodes/g/n", {"id": "evil", "labels": []}).status_code == 400
    assert call.last is None
    assert call("PUT", "/v1/nodes/g/n", {"labels": ["a"], "id": "g/n"}).status_code == 200
    assert call.seen.message.id == "g/n"


def test_query_values_arrive_decoded(call: Caller) -> None:
    call("GET", "/v1/services/g/s/web/container_logs?limit&since=2017-01-01T00%3A00+00&follow=1&se%61rch=%26%3d&un=1")
    message = call.seen.message
    assert (message.limit, message.since, message.follow, message.search) == ("", "2017-01-01T00:00 00", "1", "&=")


def test_true_client_address(call: Caller) -> None:
    call("GET", "/v1/grids", x_forwarded_for="9.9.9.9, 8.8.8.8")
    assert call.seen.metadata["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "believed"),
    [
        (1, {"9.9.9.9, 8.8.8.8": "8.8.8.8", "9.9.9.9, nonsense": "127.0.0.1"}),
        (2, {"9.9.9.9, 8.8.8.8": "9.9.9.9", "8.8.8.8": "127.0.0.1"}),
    ],
)
def test_as_many_proxies_are_believed_as_there_are(
    echo: Echo, tmp_path: Path, proxies: int, believed: dict[str, str]
) -> None:
    found = {}
    with running(settings(tmp_path, echo.port, trusted_proxies=proxies), tmp_path) as gateway:
        for sent in believed:
            httpx.get(f"{gateway.url}/v1/grids", headers={"x-forwarded-for": sent, "x-request-id": "proxied"})
            found[sent] = echo.calls.pop("proxied").metadata["x-forwarded-for"]
    assert found == believed


@pytest.mark.parametrize(
    "header",
    [
        "x!y=1",
        "kb*=B",
        "^~|`=1",
        "grpc-timeout=1n",
        "grpc-encoding=foo",
        "x-data-bin=!!!",
        "x-envoy-retry-on=5xx",
        "x-envoy-max-retries=9",
    ],
)
def test_headers_that_would_steer_the_rpc_are_dropped(call: Caller, header: str) -> None:
    name, _, value = header.partition("=")
    assert call("GET", "/v1/grids", **{name: value}).status_code == 200
    assert name not in call.seen.metadata
