"""Traces: each request begins one, or goes on with that of its client, and is told to a collector (OTLP over gRPC)."""

from gateway.settings import Endpoint, GatewaySettings
from gateway.typed import Config, extension, typed

_CLUSTER = "traces"


def tracing(settings: GatewaySettings) -> Config:
    """For the connection manager; nothing without a collector."""
    if settings.traces_address is None:
        return {}
    provider = extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        service_name="gateway",
        grpc_service={"envoy_grpc": {"cluster_name": _CLUSTER}, "timeout": "1s"},
    )
    return {"tracing": {"provider": provider, "random_sampling": {"value": settings.traces_percent}}}


def trace_clusters(settings: GatewaySettings) -> list[Config]:
    """Where the collector is."""
    return [_collector(settings.traces_address)] if settings.traces_address is not None else []


def _collector(endpoint: Endpoint) -> Config:
    address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}}
    )
    return {
        "name": _CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
