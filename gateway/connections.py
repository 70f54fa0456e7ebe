"""How many connections one address may open (docs/adr/0086).

The filter that Envoy has for this asks a service at each new connection, before a byte of it is read. The service is a
listener inside the same process, with the bucket for each address that token endpoints have: nothing else has to run,
and no question leaves the process.
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from gateway.rate_limit import FILTER, bucket_per_address
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, header, seconds, typed

# Who is not answered within it is let in.
ANSWER_SECONDS = 1.0
_NAME = "connections"
_ADDRESS = "x-address"
# One address of IPv4; of IPv6 the network of one machine or household, which has as many addresses as it likes.
_BITS = {4: 32, 6: 64}
_NOT_GRPC = "application/x-protobuf"
_MANAGER = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_UNLIMITED = 1_000_000


def question(settings: GatewaySettings) -> list[Config]:
    """The network filter that asks; none where addresses are not counted. Without an answer everybody is let in."""
    if not settings.counts_connections:
        return []
    # It begins as no gRPC call: what Envoy answers to one by itself has a status and no message.
    metadata = {_ADDRESS: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "content-type": _NOT_GRPC}
    service = {
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": _NAME},
            "initial_metadata": [{"key": key, "value": value} for key, value in metadata.items()],
        },
    }
    return [
        extension(
            "envoy.filters.network.ratelimit",
            "extensions.filters.network.ratelimit.v3.RateLimit",
            stat_prefix=_NAME,
            domain=_NAME,
            # The protocol wants one; the address that counts is in the metadata, where a prefix can be made of it.
            descriptors=[{"entries": [{"key": "connection", "value": "new"}]}],
            timeout=seconds(ANSWER_SECONDS),
            rate_limit_service=service,
        )
    ]


def answering_listeners(settings: GatewaySettings) -> list[Config]:
    """The listener that answers, which has no address outside the process."""
    if not settings.counts_connections:
        return []
    detection = extension(
        "envoy.http.original_ip_detection.custom_header",
        "extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig",
        header_name=_ADDRESS,
    )
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        _MANAGER,
        stat_prefix=_NAME,
        codec_type="HTTP2",
        generate_request_id=False,
        original_ip_detection_extensions=[detection],
        route_config={"virtual_hosts": [{"name": _NAME, "domains": ["*"], "routes": [_route()]}]},
        http_filters=[_limit(settings), *_answer()],
    )
    return [{"name": _NAME, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]}]


def answering_clusters(settings: GatewaySettings) -> list[Config]:
    """The way there."""
    if not settings.counts_connections:
        return []
    options = "extensions.upstreams.http.v3.HttpProtocolOptions"
    address = {"envoy_internal_address": {"server_listener_name": _NAME}}
    return [
        {
            "name": _NAME,
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                f"envoy.{options}": typed(options, explicit_http_config={"http2_protocol_options": {}})
            },
            # Each connection asks once, and there are as many as GATEWAY_CONNECTION_LIMIT.
            "circuit_breakers": {"thresholds": [{"max_pending_requests": _UNLIMITED, "max_requests": _UNLIMITED}]},
            "load_assignment": {
                "cluster_name": _NAME,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
    ]


def bootstrap_extensions(settings: GatewaySettings) -> list[Config]:
    """What a listener without an address needs."""
    if not settings.counts_connections:
        return []
    return [
        extension("envoy.bootstrap.internal_listener", "extensions.bootstrap.internal_listener.v3.InternalListener")
    ]


def prefixes(addresses: Sequence[str]) -> tuple[str, ...]:
    """The keys under which these addresses are counted."""
    networks = (ip_network((address, _BITS[ip_address(address).version]), strict=False) for address in addresses)
    return tuple(map(str, networks))


def _route() -> Config:
    """The script answers before it comes to that."""
    return {"match": {"prefix": "/"}, "direct_response": {"status": 404}}


def _limit(settings: GatewaySettings) -> Config:
    """Says in a header which connection is one too many."""
    burst, rate = settings.connections_per_address_burst, settings.connections_per_address_rate
    return {
        "name": FILTER,
        "typed_config": bucket_per_address(
            _NAME,
            {"max_tokens": burst, "tokens_per_fill": rate, "fill_interval": "1s"},
            "1s",
            action={"masked_remote_address": {"v4_prefix_mask_len": _BITS[4], "v6_prefix_mask_len": _BITS[6]}},
            exempt=prefixes(settings.rate_limit_exempt),
            filter_enforced={"default_value": {"numerator": 0}},
            request_headers_to_add_when_not_enforced=[header("x-over-limit", "true")],
        ),
    }


def _answer() -> list[Config]:
    """A script writes the message, and the filter before it makes a gRPC answer of it."""
    here = Path(__file__).parent
    return [
        extension(
            "envoy.filters.http.header_mutation",
            "extensions.filters.http.header_mutation.v3.HeaderMutation",
            mutations={"request_mutations": [{"append": header("content-type", "application/grpc")}]},
        ),
        extension(
            "envoy.filters.http.grpc_http1_reverse_bridge",
            "extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig",
            content_type=_NOT_GRPC,
            withhold_grpc_frames=True,
        ),
        extension(
            "envoy.filters.http.lua.connections",
            "extensions.filters.http.lua.v3.Lua",
            default_source_code={"inline_string": (here / "connections.lua").read_text()},
        ),
        extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router"),
    ]
