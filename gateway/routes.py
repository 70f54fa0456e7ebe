"""Routes: by RPC, after transcoding, and only for services the protos open to the outside."""

import re
from collections.abc import Callable, Iterable

from gateway.body_limits import body_limit, larger_bodies
from gateway.catalog import DEFAULT_REQUEST_LIMIT, Method, Service
from gateway.clusters import EXEC
from gateway.compression import uncompressed
from gateway.cors import cors_policy
from gateway.exec_bridge.target import PATH as EXEC_PATH
from gateway.exec_bridge.target import UPGRADE_PATH
from gateway.own_answers import OwnAnswer
from gateway.rate_limit import per_client_limit
from gateway.settings import GatewaySettings
from gateway.typed import Config, header, seconds

# docs/spec/auth_grid.md section 1.2; the second spelling of `/authenticate` is the documented one.
_LIMITED_PREFIXES = ("/oauth2/token", "/authenticate", "/oauth2/authenticate")
# What services say with the end of a stream that they end because they stop, before it has begun to change anything
# (services/kernel/streams.py).
STOPPING = "x-server-stopping"
# So much of a call of gRPC is kept to be sent again, while nobody has taken it. Later on streams of agents may be long.
_OPENING_BYTES = 16 * 1024
_UPGRADE = "This is a WebSocket: send the headers of an upgrade, or POST for a command without input"
_NO_ETCD = (
    "Nodes of this master run no etcd. Keep values in secrets or in the environment of services, and let services find"
    " each other by links or DNS names"
)
# HEAD arrives as GET (head.lua).
_GET = {"name": ":method", "string_match": {"exact": "GET"}}
_TRANSCODED = [{"name": "x-envoy-original-path", "present_match": True}]


def virtual_host(settings: GatewaySettings, services: Iterable[Service], own: Iterable[OwnAnswer]) -> Config:
    """Everything the gateway answers, whatever the host name; what no route names is 404."""
    routed = [service for service in services if service.routed]
    routes = [*(_answer(answer) for answer in own), *exec_routes(settings), _no_etcd()]
    for upstream in sorted({service.upstream for service in routed}):
        methods = [method for service in routed if service.upstream == upstream for method in service.methods]
        routes += upstream_routes(upstream, methods, settings)
    return {
        "name": "kontena",
        "domains": ["*"],
        "routes": [*routes, *_not_found(routed, settings)],
        **cors_policy(settings, routed),
    }


def upstream_routes(upstream: str, methods: list[Method], settings: GatewaySettings) -> list[Config]:
    """Token endpoints, then unary calls and streams of REST clients, then every call of gRPC clients."""
    timeout = {"timeout": seconds(settings.request_timeout_seconds)}
    # A gRPC caller brings its own deadline, a stream has none. Idle ones end: live ones send something far more often.
    endless = {"timeout": "0s", "idle_timeout": seconds(settings.stream_idle_seconds)}
    read, write = {"retry_policy": retry_policy(reads=True)}, {"retry_policy": retry_policy()}
    told = {"retry_policy": retry_policy(told=True)}
    joining = per_client_limit(settings, settings.join_limit_requests)
    plain = {"typed_per_filter_config": uncompressed()}
    groups: list[tuple[Callable[[Method], bool], list[Config], Config, Config]] = [
        (rate_limited, [], {**timeout, **write}, {"typed_per_filter_config": per_client_limit(settings)}),
        (joins, [], {**endless, **told}, {"typed_per_filter_config": {**uncompressed(), **joining}}),
        (lambda m: not m.streaming and m.is_read, _TRANSCODED, {**timeout, **read}, {}),
        (lambda m: not m.streaming and not m.is_read, _TRANSCODED, {**timeout, **write}, {}),
        (lambda m: m.streaming and m.is_read, _TRANSCODED, {**endless, **read}, plain),
        (lambda m: m.streaming and not m.is_read, _TRANSCODED, {**endless, **told}, plain),
        (lambda m: True, [], {**endless, **write}, {"request_body_buffer_limit": _OPENING_BYTES}),
    ]
    return [
        {"match": _match(paths, headers), "route": {"cluster": upstream, **action}, **extra}
        for condition, headers, action, extra in groups
        if (paths := [method.path for method in methods if condition(method)])
    ]


def exec_routes(settings: GatewaySettings) -> list[Config]:
    """The only WebSocket; every other upgrade is 403. A path that names no node gets its 404 from the same bridge.
    A plain request is told so here: it may have a body, and a bridge could only hang up on that."""
    bridge = {
        "cluster": EXEC,
        "timeout": "0s",
        # Pings pass more often.
        "idle_timeout": seconds(settings.stream_idle_seconds),
        "upgrade_configs": [{"upgrade_type": "websocket", "enabled": True}],
        "retry_policy": retry_policy(),
    }
    return [
        {
            "match": {
                "safe_regex": {"regex": UPGRADE_PATH},
                "headers": [_GET, {"name": "upgrade", "present_match": True}],
            },
            "route": bridge,
        },
        {
            "match": {"safe_regex": {"regex": EXEC_PATH}, "headers": [_GET]},
            "direct_response": {"status": 426, "body": {"inline_string": _UPGRADE}},
            "response_headers_to_add": [header("upgrade", "websocket")],
        },
    ]


def rate_limited(method: Method) -> bool:
    """True for RPCs behind a token endpoint, whichever way they are called."""
    return any(binding.template.startswith(_LIMITED_PREFIXES) for binding in method.bindings)


def joins(method: Method) -> bool:
    """True for streams that anybody may open: agents show what they have in their first message."""
    return method.streaming and method.open


def retry_policy(*, reads: bool = False, told: bool = False) -> Config:
    """Only while no service has seen the request, so that writes may be repeated too: some two seconds, enough for a
    process to restart. `cancelled` is what gRPC says of calls that arrive while a server stops; our code never does.
    Reads are repeated also when their process dies or stops under them. `told`: also when a process that stops says
    that it has not begun, as streams can."""
    unseen = "connect-failure,refused-stream,reset-before-request,cancelled"
    stopping = {"retriable_headers": [{"name": STOPPING, "present_match": True}]}
    also = ",reset,retriable-headers" if reads else ",retriable-headers" if told else ""
    return {
        "retry_on": unseen + also,
        **(stopping if also else {}),
        "num_retries": 6,
        "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }


def _match(paths: list[str], headers: list[Config]) -> Config:
    pattern = "|".join(map(re.escape, sorted(paths)))
    return {"safe_regex": {"regex": pattern}, "grpc": {}, "headers": headers}


def _not_found(services: Iterable[Service], settings: GatewaySettings) -> list[Config]:
    """Also what REST requests match before they are transcoded; the limit of their body is decided here."""
    # No cluster has this name. A direct response would do, but CORS headers pass those by; the body comes from
    # local_replies.py, as for every other error of ours.
    nowhere = {"route": {"cluster": "nowhere", "cluster_not_found_response_code": "NOT_FOUND"}}
    larger = [
        {"match": {"safe_regex": {"regex": paths}}, **nowhere, **body_limit(limit, settings)}
        for paths, limit in larger_bodies(services)
    ]
    every_other = {"match": {"prefix": "/"}, **nowhere, **body_limit(DEFAULT_REQUEST_LIMIT, settings)}
    return [{"match": {"prefix": "/", "grpc": {}}, **nowhere}, *larger, every_other]


def _no_etcd() -> Config:
    return {"match": {"prefix": "/v1/etcd/"}, "direct_response": {"status": 404, "body": {"inline_string": _NO_ETCD}}}


def _answer(answer: OwnAnswer) -> Config:
    headers = {"content-type": answer.content_type, **answer.headers}
    return {
        "match": {"path": answer.path, "headers": [_GET]},
        "direct_response": {"status": 200, "body": {"inline_string": answer.body}},
        "response_headers_to_add": [header(name, value) for name, value in headers.items()],
    }
