"""Browsers of other origins are let in only when settings name those origins."""

from collections.abc import Iterable

from gateway.catalog import Service
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, typed

_NAME = "envoy.filters.http.cors"
_ALLOWED = ("authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "x-request-id")
_EXPOSED = ("etag", "location", "retry-after", "www-authenticate", "x-kontena-version", "x-request-id")
_MAX_AGE_SECONDS = 600


def cors_filters(settings: GatewaySettings) -> list[Config]:
    """No filter at all without origins."""
    return [extension(_NAME, "extensions.filters.http.cors.v3.Cors")] if settings.cors_origins else []


def cors_policy(settings: GatewaySettings, services: Iterable[Service]) -> Config:
    """What the virtual host carries. Tokens travel in a header, so cookies are never allowed."""
    if not settings.cors_origins:
        return {}
    matches = [{"safe_regex": {"regex": ".*"}} if o == "*" else {"exact": o} for o in settings.cors_origins]
    verbs = {b.verb for service in services if service.public for method in service.methods for b in method.bindings}
    policy = typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=matches,
        allow_methods=", ".join(sorted(verbs | {"GET", "HEAD"})),
        allow_headers=", ".join(_ALLOWED),
        expose_headers=", ".join(_EXPOSED),
        max_age=str(_MAX_AGE_SECONDS),
        allow_credentials=False,
    )
    return {"typed_per_filter_config": {_NAME: policy}}
