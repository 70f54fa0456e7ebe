"""A port for Prometheus only: Envoy's admin interface, which also serves metrics, can stop the process."""

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
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    return [
        {
            "name": "metrics",
            "address": {"socket_address": address},
            "filter_chains": [{"filters": [manager]}],
            "ignore_global_conn_limit": True,
        }
    ]


def metrics_clusters(settings: GatewaySettings) -> list[Config]:
    """The admin interface of this very process, which listens on loopback."""
    if settings.metrics_address is None:
        return []
    address = {"address": settings.admin_address, "port_value": settings.admin_port}
    endpoint = {"endpoint": {"address": {"socket_address": address}}}
    return [
        {
            "name": _CLUSTER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": _CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
    ]
