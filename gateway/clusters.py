"""Upstream clusters: one per service of the suite, and the exec bridge."""

from collections.abc import Sequence
from pathlib import Path

from gateway import mtls
from gateway.discovery import document
from gateway.exec_bridge.target import HEALTH
from gateway.settings import Endpoint, GatewaySettings
from gateway.typed import Config, extension, seconds, typed

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UNLIMITED = 1_000_000


FILE = "clusters.json"
EXEC = "exec"


def clusters(settings: GatewaySettings, folder: Path) -> Config:
    """The file of the upstreams. A running Envoy takes a new one over as soon as its addresses are checked, and lets
    requests to the old ones end. `folder` holds what names the certificate towards them."""
    services = {name: cluster(name, endpoints, settings) for name, endpoints in settings.upstreams.items()}
    bridge = websocket_cluster(EXEC, settings.exec_addresses, settings)
    if settings.mtls_folder is not None:
        for name, upstream in services.items():
            upstream["transport_socket"] = mtls.transport_socket(folder, f"{name}-svc", "h2")
        bridge["transport_socket"] = mtls.transport_socket(folder, "exec-bridge", "http/1.1")
    return document([typed("config.cluster.v3.Cluster", **upstream) for upstream in (*services.values(), bridge)])


def cluster(name: str, endpoints: Sequence[Endpoint], settings: GatewaySettings) -> Config:
    """HTTP/2 to every address the names of `endpoints` resolve to; only broken connections take an address out."""
    return {
        **_common(name, endpoints, settings),
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _http2()},
        "health_checks": [_health_check(settings, grpc_health_check={"service_name": ""})],
    }


def websocket_cluster(name: str, endpoints: Sequence[Endpoint], settings: GatewaySettings) -> Config:
    """As `cluster`, over HTTP/1.1, which upgrades need."""
    return {
        **_common(name, endpoints, settings),
        "health_checks": [_health_check(settings, http_health_check={"path": HEALTH})],
    }


def _common(name: str, endpoints: Sequence[Endpoint], settings: GatewaySettings) -> Config:
    return {
        "name": name,
        "cluster_type": extension(
            "envoy.clusters.dns",
            "extensions.clusters.dns.v3.DnsCluster",
            dns_lookup_family="ALL",
            dns_refresh_rate=seconds(settings.dns_refresh_seconds),
            typed_dns_resolver_config=_resolver(settings.dns_servers),
        ),
        "connect_timeout": seconds(settings.connect_timeout_seconds),
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {
            # A replica that becomes healthy or fails counts at once, not within a second: agents that lost one all
            # come back in that second.
            "update_merge_window": "0s",
            # Who says that it cannot answer is asked only when nobody says otherwise, even if most say so.
            "healthy_panic_threshold": {"value": 1},
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(endpoint) for endpoint in endpoints]}],
        },
        "outlier_detection": _outlier_detection(),
        "circuit_breakers": {"thresholds": [_thresholds()]},
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3}
        },
        "per_connection_buffer_limit_bytes": 1024 * 1024,
    }


def _resolver(servers: Sequence[Endpoint]) -> Config:
    """The servers of the machine when none are named."""
    return extension(
        "envoy.network.dns_resolver.cares",
        "extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        resolvers=[_address(server) for server in servers],
    )


def _endpoint(endpoint: Endpoint) -> Config:
    return {"endpoint": {"address": _address(endpoint)}}


def _address(endpoint: Endpoint) -> Config:
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def _http2() -> Config:
    options = {
        "initial_stream_window_size": 1024 * 1024,
        "initial_connection_window_size": 16 * 1024 * 1024,
        # Notices a frozen process. Services accept a ping every 5 s; other gRPC servers may call that too many.
        "connection_keepalive": {"interval": "30s", "timeout": "10s"},
    }
    return typed(_HTTP_OPTIONS.removeprefix("envoy."), explicit_http_config={"http2_protocol_options": options})


def _health_check(settings: GatewaySettings, **how: Config) -> Config:
    """Every address is asked for its health; when all are dead they are still tried (panic mode)."""
    return {
        "timeout": "1s",
        "interval": seconds(settings.health_check_seconds),
        "no_traffic_interval": seconds(settings.health_check_seconds),
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **how,
    }


def _outlier_detection() -> Config:
    """Counts failed connections only: an application that answers 5xx is alive and must not lose its traffic."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "interval": "2s",
        "base_ejection_time": "5s",
        "max_ejection_percent": 50,
    }


def _thresholds() -> Config:
    """Streams of agents and log followers live long, so requests are bounded by the connection limit, not here."""
    return {
        "max_connections": 1024,
        "max_pending_requests": 4096,
        "max_requests": _UNLIMITED,
        "max_retries": 256,
    }
