"""The public port, and that of agents: HTTP/1.1, HTTP/2 and gRPC, with or without TLS."""

from pathlib import Path
from typing import Any

from gateway.access_log import access_log
from gateway.connections import question
from gateway.filters import router_filter
from gateway.local_replies import local_reply_config
from gateway.settings import Endpoint, GatewaySettings
from gateway.tls import transport_socket
from gateway.tracing import tracing
from gateway.typed import Config, extension, header, header_if_absent, seconds, typed

_MEBIBYTE = 1024 * 1024
# The version of the API, which the public CLI compares with its own: it warns after each command where the first two
# numbers differ (docs/adr/0083).
API_VERSION = "1.5.5"
# The script of the API reference is the largest answer of our own.
_LARGEST_PAGE = 4 * _MEBIBYTE


def listeners(
    settings: GatewaySettings, virtual_host: Config, http_filters: list[Config], folder: Path
) -> list[Config]:
    """One for every kind of client; beside it, when it has an address, one whose connections count apart, so that
    agents are let in however many strangers hold the others. Their certificate is named by a file in `folder`."""
    chain = [connection_manager(settings, virtual_host, http_filters)]
    asked = question(settings)
    public = _listener(settings, "public", Endpoint(settings.address, settings.port), [*asked, *chain], folder)
    if not asked:
        public |= _first_bytes(settings)
    if settings.agent_address is None:
        return [public]
    own = _listener(
        settings, "agents", settings.agent_address, [_room(settings.agent_connection_limit), *chain], folder
    )
    return [public, {**own, **_first_bytes(settings), "ignore_global_conn_limit": True}]


def _room(connections: int) -> Config:
    return extension(
        "envoy.filters.network.connection_limit",
        "extensions.filters.network.connection_limit.v3.ConnectionLimit",
        stat_prefix="agents",
        max_connections=connections,
    )


def _listener(settings: GatewaySettings, name: str, at: Endpoint, filters: list[Config], folder: Path) -> Config:
    chain: Config = {
        "filters": filters,
        "transport_socket_connect_timeout": seconds(settings.first_bytes_seconds),
    }
    if settings.tls:
        chain["transport_socket"] = transport_socket(folder)
    return {
        "name": name,
        "address": socket_address(at.host, at.port),
        "per_connection_buffer_limit_bytes": settings.body_limit_bytes,
        "tcp_keepalive": {"keepalive_time": 60, "keepalive_interval": 15, "keepalive_probes": 4},
        "filter_chains": [chain],
    }


def _first_bytes(settings: GatewaySettings) -> Config:
    """Waits for the first bytes of a connection before any other filter has it; what they are nobody asks."""
    kind = "tls" if settings.tls else "http"
    inspector = extension(
        f"envoy.filters.listener.{kind}_inspector",
        f"extensions.filters.listener.{kind}_inspector.v3.{kind.title()}Inspector",
    )
    return {
        "listener_filters": [inspector],
        "listener_filters_timeout": seconds(settings.first_bytes_seconds),
    }


def socket_address(address: str, port: int) -> Config:
    """An address in Envoy's spelling."""
    return {"socket_address": {"address": address, "port_value": port}}


def connection_manager(settings: GatewaySettings, virtual_host: Config, http_filters: list[Config]) -> Config:
    """Limits, client address, request ids, error shape and routes of every request."""
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="public",
        codec_type="AUTO",
        route_config=_route_config(settings, virtual_host),
        http_filters=http_filters,
        upgrade_configs=[_websockets()],
        local_reply_config=local_reply_config({**response_headers(settings), **default_headers()}),
        access_log=access_log(settings),
        **tracing(settings),
        **_limits(settings),
        **_identity(settings),
        **_paths(),
    )


def _websockets() -> Config:
    """Upgrades are allowed by route, and pass no filter that would look for JSON or gRPC in their frames."""
    return {"upgrade_type": "websocket", "enabled": False, "filters": [router_filter()]}


def response_headers(settings: GatewaySettings) -> dict[str, str]:
    """On every response, whoever made it."""
    headers = {"x-kontena-version": API_VERSION, "x-content-type-options": "nosniff", "x-frame-options": "DENY"}
    return {**headers, "strict-transport-security": "max-age=31536000"} if settings.tls else headers


def default_headers() -> dict[str, str]:
    """On every response that does not say otherwise itself: pages need rules of their own."""
    return {"content-security-policy": "default-src 'none'; frame-ancestors 'none'", "referrer-policy": "no-referrer"}


def _route_config(settings: GatewaySettings, virtual_host: Config) -> Config:
    return {
        "name": "public",
        "virtual_hosts": [virtual_host],
        # One address, the one we saw ourselves: a list would begin with whatever the client made up.
        "request_headers_to_add": [header("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")],
        "response_headers_to_add": [
            *(header(name, value) for name, value in response_headers(settings).items()),
            *(header_if_absent(name, value) for name, value in default_headers().items()),
        ],
        "max_direct_response_body_size_bytes": _LARGEST_PAGE,
        # Clusters arrive after the routes, and may be replaced while Envoy runs.
        "validate_clusters": False,
        "most_specific_header_mutations_wins": True,
    }


def _limits(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "max_request_headers_kb": settings.header_limit_kb,
        "request_headers_timeout": seconds(min(10.0, settings.request_timeout_seconds)),
        # Also ends a body that stops arriving; routes of streams allow more.
        "stream_idle_timeout": seconds(2 * settings.request_timeout_seconds),
        # For a client that still sends what nobody reads any more: it must get its answer before a reset. The end of a
        # WebSocket waits as long.
        "delayed_close_timeout": "0.1s",
        "drain_timeout": "5s",
        "common_http_protocol_options": {
            # Also before the first request, so that connections nobody uses make room for others.
            "idle_timeout": seconds(settings.connection_idle_seconds),
            "max_headers_count": 100,
            # `x_body_fields` would become `x-body-fields` in some servers.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        # Proxies in front speak it by default, and may send no host.
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "kontena"},
        "http2_protocol_options": {
            "max_concurrent_streams": 1000,
            # Also the most Envoy buffers of a request, so it must not be below the body limit.
            "initial_stream_window_size": max(_MEBIBYTE, settings.body_limit_bytes),
            "initial_connection_window_size": max(_MEBIBYTE, settings.body_limit_bytes),
            # Notices agents and gRPC clients that vanished without closing. Of many nodes heartbeats come more seldom.
            "connection_keepalive": {"interval": "10s", "timeout": "20s"},
        },
    }


def _identity(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_proxies,
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            # Keeps a client's id as it is instead of writing tracing bits into it.
            "typed_config": typed(
                "extensions.request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def _paths() -> dict[str, Any]:
    """Dots are resolved before routing; doubled and escaped slashes mean something (etcd keys, ids) and stay."""
    return {
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    }
