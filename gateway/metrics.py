"""A port for Prometheus only: Envoy's admin interface, which also serves metrics, can stop the process."""

from gateway.filters import router_filter
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension

_CLUSTER = "admin"


def metrics_listeners(settings: GatewaySettings) -> list[Config]:
    """One listener that answers `GET /metrics`; none when settings name no address."""
    if settings.metrics_address is None:
        return []
    address = {"address": settings.metrics_address.host, "port_value": settings.metrics_address.port}
    route = {
        "match": {"path": "/metrics", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        "route": {"cluster": _CLUSTER, "prefix_rewrite": "/stats/prometheus", "timeout": "10s"},
    }
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="metrics",
        route_config={"virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": [route]}]},
        http_filters=[*_token_filter(settings), router_filter()],
    )
    return [
        {
            "name": "metrics",
            "address": {"socket_address": address},
            "filter_chains": [{"filters": [manager]}],
            "ignore_global_conn_limit": True,
        }
    ]


def _token_filter(settings: GatewaySettings) -> list[Config]:
    """It looks the token up by a keyed hash, so that the time it takes tells nothing."""
    if settings.metrics_token is None:
        return []
    known = {"key": settings.metrics_token.get_secret_value(), "client": "prometheus"}
    return [
        extension(
            "envoy.filters.http.api_key_auth",
            "extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
            credentials=[known],
            key_sources=[{"header": "authorization"}],
        )
    ]


def admin_address(settings: GatewaySettings) -> Config:
    """A socket that is its owner's. A port on loopback would be open to containers in the network of the machine."""
    return {"pipe": {"path": str(settings.admin_socket.absolute()), "mode": 0o600}}


def metrics_clusters(settings: GatewaySettings) -> list[Config]:
    """The admin interface of this very process."""
    if settings.metrics_address is None:
        return []
    endpoint = {"endpoint": {"address": admin_address(settings)}}
    return [
        {
            "name": _CLUSTER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": _CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
    ]
