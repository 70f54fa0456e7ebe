"""Ways to serve the floor: what is left out of it, or done otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench import floor_gateways

FLOOR = "the floor"
GATEWAY, SERVER = "gateway", "server"


@dataclass(frozen=True)
class Variant:
    """The floor but for `part`; what the other part uses for a request stays the same. No part: both are others, or
    none is.

    `ways` are arguments of the server (floor_servers.py), `processes` of it share a port, and there are `replicas`;
    `gateway` are arguments of `Stand.gateway`, None without one. `grpc` asks in gRPC: wrk over HTTP/1.1, or
    with `http2` a client in Python, whose CPU is not counted, but which takes it from what is measured.
    """

    name: str
    part: str = ""
    ways: Sequence[str] = ()
    processes: int = 1
    replicas: int = 1
    gateway: Mapping[str, Any] | None = field(default_factory=dict)
    grpc: bool = False
    http2: bool = False


def _gateway(name: str, *, grpc: bool = False, **gateway: Any) -> Variant:
    return Variant(name, GATEWAY, gateway=gateway, grpc=grpc)


def _server(name: str, *ways: str, processes: int = 1, replicas: int = 1) -> Variant:
    return Variant(name, SERVER, ways, processes, replicas)


_INTERCEPTORS = ("no authentication", "no deadline", "no metrics", "no entity tag")
VARIANTS = (
    Variant(FLOOR),
    _gateway("no access log", access_log_path=""),
    _gateway("no Lua", change=floor_gateways.without("lua", "match_delegate")),
    _gateway("only members of JSON that are set", change=floor_gateways.printing(preserve_proto_field_names=True)),
    _gateway("no compressors", change=floor_gateways.without("compressor")),
    _gateway("no rate limit", change=floor_gateways.without("local_ratelimit")),
    _gateway("no limit of bodies, no /readyz", change=floor_gateways.without("buffer", "health_check")),
    _gateway("no limits of connections", change=floor_gateways.uncounted_connections()),
    _gateway("one route", change=floor_gateways.one_route()),
    _gateway("one thread of Envoy", concurrency=1),
    _gateway("4 streams per connection", change=floor_gateways.streams_per_connection(4)),
    _gateway("gRPC, transcoder idle", grpc=True),
    _gateway("gRPC, router alone", grpc=True, change=floor_gateways.router_only()),
    *(_server(way, way) for way in _INTERCEPTORS),
    # Among those that it is compared with, and by processes of its own: it shows what a difference may be by chance.
    _server("the floor once more"),
    _server("none of these four", *_INTERCEPTORS),
    _server("grpc.aio alone, a stream in", "aio stream"),
    _server("grpc.aio alone", "aio"),
    _server("grpc with threads alone", "threads"),
    _server("the loop of asyncio", "asyncio"),
    _server("no probes of bandwidth", "no probes of bandwidth"),
    _server("2 processes on one port", "shared port", processes=2),
    _server("2 replicas", replicas=2),
    Variant("gRPC client at the gateway", grpc=True, http2=True),
    Variant("gRPC client at the server", gateway=None, grpc=True, http2=True),
)
