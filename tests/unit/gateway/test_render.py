import base64
import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from gateway import catalog
from gateway.__main__ import main
from gateway.clusters import clusters
from gateway.openapi.document import document
from gateway.render import bootstrap, check_upstreams, write
from gateway.settings import Endpoint, GatewaySettings
from gateway.tls import secrets

SETTINGS = GatewaySettings()
DESCRIPTORS = catalog.load_descriptors(SETTINGS.descriptors)
SERVICES = catalog.services(DESCRIPTORS)
METHODS = [(service, method) for service in SERVICES for method in service.methods]


@functools.lru_cache
def rendered(**changes: object) -> Any:
    return bootstrap(SETTINGS.model_copy(update=changes), DESCRIPTORS, FOLDER)


FOLDER = Path("/run/gateway")


def manager(config: Any) -> Any:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]


def filter_config(config: Any, name: str) -> Any:
    return next(f["typed_config"] for f in manager(config)["http_filters"] if f["name"].endswith(name))


def routes_to(path: str, config: Any) -> list[Any]:
    """Routes with a cluster that match the RPC `path`, in order."""
    routes = manager(config)["route_config"]["virtual_hosts"][0]["routes"]
    return [r for r in routes if "safe_regex" in r["match"] and re.fullmatch(r["match"]["safe_regex"]["regex"], path)]


def test_equal_inputs_give_equal_configurations() -> None:
    assert rendered() == bootstrap(SETTINGS, DESCRIPTORS, FOLDER)
    assert json.loads(json.dumps(rendered())) == rendered()


@pytest.mark.parametrize(("service", "method"), METHODS, ids=[method.path for _, method in METHODS])
def test_routes_follow_the_audience(service: catalog.Service, method: catalog.Method) -> None:
    routes = routes_to(method.path, rendered())
    assert bool(routes) == service.routed
    assert {route["route"]["cluster"] for route in routes} <= {service.upstream}
    assert all("grpc" in route["match"] for route in routes), "JSON must not reach a gRPC path"


@pytest.mark.parametrize(
    ("service", "method"), [m for m in METHODS if m[0].routed], ids=lambda m: getattr(m, "path", "")
)
def test_timeouts_and_retries(service: catalog.Service, method: catalog.Method) -> None:
    first, *others = routes_to(method.path, rendered())
    assert (first["route"]["timeout"] == "0s") == method.streaming
    # Of writes only what nobody has seen is repeated.
    unseen = {"connect-failure", "refused-stream", "reset-before-request", "cancelled"}
    read = method.is_read and not is_limited(first)
    also = {"reset", "retriable-headers"} if read else {"retriable-headers"} if method.streaming else set()
    assert set(first["route"]["retry_policy"]["retry_on"].split(",")) == unseen | also
    # gRPC callers have deadlines and retries of their own; but what nobody has seen is not theirs to mend. Streams of
    # agents are not kept to be repeated.
    assert set(others[-1]["route"]["retry_policy"]["retry_on"].split(",")) == unseen
    assert others[-1]["request_body_buffer_limit"] <= 16 * 1024
    compressed = "envoy.filters.http.compressor.gzip" not in first.get("typed_per_filter_config", {})
    assert compressed != method.streaming, "compression would merge the messages of a stream"


def test_streams_are_the_only_writes_that_may_be_repeated_after_a_process_has_seen_them() -> None:
    """Each must not say that it stops once it has begun (services/kernel/call.py)."""
    writes = [m.path for s, m in METHODS if s.public and m.bindings and m.streaming and not m.is_read]
    assert writes == [
        "/kontena.deploy.v1.ContainerService/ExecContainer",
        "/kontena.deploy.v1.ServiceService/DeployAndFollowService",
        "/kontena.deploy.v1.StackService/DeployAndFollowStack",
    ]


def is_limited(route: Any) -> bool:
    return "envoy.filters.http.local_ratelimit" in route.get("typed_per_filter_config", {})


def test_only_token_endpoints_and_joins_are_limited() -> None:
    limited = {method.path for _, method in METHODS if any(map(is_limited, routes_to(method.path, rendered())))}
    assert "/kontena.auth.v1.OAuthService/ExchangeToken" in limited
    others = {path for path in limited if not path.startswith("/kontena.auth.v1.")}
    assert others == {"/kontena.grid.v1.NodeSessionService/Connect"}
    assert all(is_limited(routes_to(path, rendered())[0]) for path in limited), "no route may come before the limit"


def test_transcoder_knows_public_services_only() -> None:
    transcoder = filter_config(rendered(), "grpc_json_transcoder")
    assert transcoder["services"] == [service.name for service in SERVICES if service.public]
    embedded = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(transcoder["proto_descriptor_bin"]))
    assert [file.name for file in embedded.file] == [file.name for file in DESCRIPTORS.file]
    assert not any(file.HasField("source_code_info") for file in embedded.file)
    assert "id" in transcoder["ignored_query_parameters"]


def test_contract_stands_before_the_transcoder() -> None:
    names = [f["name"].rpartition(".")[2] for f in manager(rendered())["http_filters"]]
    assert names == [
        "match_delegate", "br", "gzip", "buffer", "contract", "health_check", "grpc_json_transcoder", "local_ratelimit",
        "router",
    ]  # fmt: skip


def test_every_address_is_an_endpoint() -> None:
    changed = SETTINGS.model_copy(update={"grid_addresses": (Endpoint("a", 1), Endpoint("::1", 2))})
    (cluster,) = [c for c in clusters(changed, Path())["resources"] if c["name"] == "grid"]
    assert clusters(changed, Path())["version_info"] != clusters(SETTINGS, Path())["version_info"]
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    addresses = [endpoint["endpoint"]["address"]["socket_address"] for endpoint in endpoints]
    assert addresses == [{"address": "a", "port_value": 1}, {"address": "::1", "port_value": 2}]


def test_tls_only_with_a_certificate() -> None:
    assert '"transport_socket"' not in json.dumps(rendered())
    assert secrets(SETTINGS) is None
    files = {"tls_cert_file": Path("/tls/c.pem"), "tls_key_file": Path("/tls/k.pem")}
    text = json.dumps(rendered(**files))
    assert '"h2"' in text
    assert '"/run/gateway/tls.json"' in text
    assert "strict-transport-security" in text
    named = secrets(SETTINGS.model_copy(update=files))
    assert named is not None
    (secret,) = named["resources"]
    assert secret["tls_certificate"]["private_key"] == {"filename": "/tls/k.pem"}
    assert secret["tls_certificate"]["watched_directory"] == {"path": "/tls"}


def test_cors_only_for_named_origins() -> None:
    assert "envoy.filters.http.cors" not in json.dumps(rendered())
    host = manager(rendered(cors_origins=("https://a.example",)))["route_config"]["virtual_hosts"][0]
    (policy,) = host["typed_per_filter_config"].values()
    assert policy["allow_origin_string_match"] == [{"exact": "https://a.example"}]
    assert policy["allow_methods"] == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert policy["allow_credentials"] is False


def test_metrics_port_only_when_named() -> None:
    assert [listener["name"] for listener in rendered()["static_resources"]["listeners"]] == ["public", "connections"]
    config = rendered(metrics_address=Endpoint("127.0.0.1", 9))["static_resources"]
    assert [listener["name"] for listener in config["listeners"]] == ["public", "metrics", "connections"]
    assert [cluster["name"] for cluster in config["clusters"]] == ["admin", "connections"]


def test_an_exempt_address_is_one() -> None:
    with pytest.raises(ValueError, match="'localhost' in GATEWAY_RATE_LIMIT_EXEMPT is no address"):
        GatewaySettings(rate_limit_exempt=("localhost",))


@pytest.mark.parametrize("limit", [1024, 8 << 20])
def test_body_limit_holds_for_http2_too(limit: int) -> None:
    config = rendered(body_limit_bytes=limit)
    assert config["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] == limit
    http2 = manager(config)["http2_protocol_options"]
    assert http2["initial_connection_window_size"] >= http2["initial_stream_window_size"] >= limit


def test_no_access_log_when_none_is_wanted() -> None:
    assert manager(rendered(access_log_path=""))["access_log"] == []


def test_public_service_without_an_address_is_refused() -> None:
    lost = catalog.Service("kontena.lost.v1.LostService", "lost", 1, ())
    with pytest.raises(ValueError, match="no setting for upstream lost"):
        check_upstreams((lost,), SETTINGS)


def test_file_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "envoy.json"
    write(SETTINGS, target)
    assert json.loads(target.read_text()) == bootstrap(SETTINGS, DESCRIPTORS, target.parent)
    assert json.loads((target.parent / "clusters.json").read_text()) == clusters(SETTINGS, target.parent)
    assert sorted(path.name for path in target.parent.iterdir()) == ["clusters.json", "envoy.json"]


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(tmp_path / "envoy.json")]) == 0
    assert main(["openapi", str(tmp_path / "openapi.json")]) == 0
    assert json.loads((tmp_path / "openapi.json").read_text()) == document(SETTINGS, DESCRIPTORS)
    monkeypatch.setenv("GATEWAY_DESCRIPTORS", str(tmp_path / "missing"))
    assert main(["render", str(tmp_path / "envoy.json")]) == 2
    assert "missing" in capsys.readouterr().err
