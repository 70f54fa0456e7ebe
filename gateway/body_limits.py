"""How large the body of a REST request may be: what the RPC behind it takes (`request_limit_kb` in the protos).

The body is held back until it is complete, so that nothing looks into one that is too large. What decides is the route
that a request has before it is transcoded.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gateway.catalog import DEFAULT_REQUEST_LIMIT, Service
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, typed

_FILTER = "envoy.filters.http.buffer"
_MESSAGE = "extensions.filters.http.buffer.v3."


def body_limit_filter() -> Config:
    """Holds nothing back by itself: routes that carry `body_limit` do."""
    return {**extension(_FILTER, f"{_MESSAGE}Buffer", max_request_bytes=DEFAULT_REQUEST_LIMIT), "disabled": True}


def body_limit(limit: int, settings: GatewaySettings) -> Config:
    """What such a route carries."""
    buffer = {"max_request_bytes": min(limit, settings.body_limit_bytes)}
    return {"typed_per_filter_config": {_FILTER: typed(f"{_MESSAGE}BufferPerRoute", buffer=buffer)}}


def larger_bodies(services: Iterable[Service]) -> Iterator[tuple[str, int]]:
    """Regular expressions of paths that take more than others, each with its limit, the largest first."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for service in services:
        for method in service.methods if service.public else ():
            if method.request_limit != DEFAULT_REQUEST_LIMIT:
                found[method.request_limit] |= {binding.pattern for binding in method.bindings}
    for limit in sorted(found, reverse=True):
        if found[limit]:
            yield "|".join(sorted(found[limit])), limit
