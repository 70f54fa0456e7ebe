"""Routes: by RPC, after transcoding, and only for services the protos open to the outside."""

import json
import re
from collections.abc import Callable, Iterable

from gateway.catalog import Method, Service
from gateway.rate_limit import per_client_limit
from gateway.settings import GatewaySettings
from gateway.typed import Config, header, seconds

# spec/auth_grid.md section 1.2; the second spelling of `/authenticate` is the documented one.
_LIMITED_PREFIXES = ("/oauth2/token", "/authenticate", "/oauth2/authenticate")
_TRANSCODED = [{"name": "x-envoy-original-path", "present_match": True}]


def virtual_host(settings: GatewaySettings, services: Iterable[Service]) -> Config:
    """Everything the gateway answers, whatever the host name; what no route names is 404."""
    routed = [service for service in services if service.routed]
    routes = [*own_routes(settings)]
    for upstream in sorted({service.upstream for service in routed}):
        methods = [method for service in routed if service.upstream == upstream for method in service.methods]
        routes += upstream_routes(upstream, methods, settings)
    return {"name": "kontena", "domains": ["*"], "routes": [*routes, _not_found()]}


def own_routes(settings: GatewaySettings) -> list[Config]:
    """What the gateway answers without asking a service, to GET and HEAD."""
    root = {"name": "Kontena Master", "tagline": "The Container Platform", "version": settings.version}
    answers = {"/": root, "/v1/ping": {"message": "pong"}, "/healthz": {"status": "ok"}}
    return [_answer({"path": path, "headers": [_method_is_read()]}, body) for path, body in answers.items()]


def upstream_routes(upstream: str, methods: list[Method], settings: GatewaySettings) -> list[Config]:
    """Token endpoints, reads and other unary calls of REST clients; then streams and every call of gRPC clients."""
    timeout = {"timeout": seconds(settings.request_timeout_seconds)}
    # A gRPC caller brings its own deadline, a stream has none. Idle ones end: live ones send something far more often.
    endless = {"timeout": "0s", "idle_timeout": seconds(settings.stream_idle_seconds)}
    groups: list[tuple[Callable[[Method], bool], list[Config], Config, Config]] = [
        (rate_limited, [], timeout, {"typed_per_filter_config": per_client_limit(settings)}),
        (lambda m: m.safe and not m.streaming, _TRANSCODED, {**timeout, "retry_policy": retry_policy()}, {}),
        (lambda m: not m.streaming, _TRANSCODED, timeout, {}),
        (lambda m: True, [], endless, {}),
    ]
    return [
        {"match": _match(paths, headers), "route": {"cluster": upstream, **action}, **extra}
        for condition, headers, action, extra in groups
        if (paths := [method.path for method in methods if condition(method)])
    ]


def rate_limited(method: Method) -> bool:
    """True for RPCs behind a token endpoint, whichever way they are called."""
    return any(binding.template.startswith(_LIMITED_PREFIXES) for binding in method.bindings)


def retry_policy() -> Config:
    """For reads, and only while no service has seen the request: some two seconds, enough for a process to restart."""
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
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


def _not_found() -> Config:
    # The body comes from local_replies.py, as for every other error of ours.
    return {"match": {"prefix": "/"}, "direct_response": {"status": 404}}


def _answer(match: Config, body: object) -> Config:
    return {
        "match": match,
        "direct_response": {"status": 200, "body": {"inline_string": json.dumps(body, separators=(",", ":"))}},
        "response_headers_to_add": [header("content-type", "application/json")],
    }


def _method_is_read() -> Config:
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
