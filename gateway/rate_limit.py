"""Rate limit of the token endpoints: one bucket per client address (docs/spec/auth_grid.md section 1.2)."""

from collections.abc import Sequence
from typing import Any

from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, seconds, typed

_UNLIMITED = 1_000_000_000
_TRACKED_CLIENTS = 10_000
_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}

FILTER = "envoy.filters.http.local_ratelimit"
_MESSAGE = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def rate_limit_filter() -> Config:
    """Limits nothing by itself: routes that carry `per_client_limit` do."""
    return extension(FILTER, _MESSAGE, stat_prefix="unlimited")


def per_client_limit(settings: GatewaySettings, requests: int | None = None) -> Config:
    """What such a route carries, `requests` or those of token endpoints per window: counts per process, in memory; of
    very many clients the least recent is forgotten."""
    most = settings.rate_limit_requests if requests is None else requests
    window = seconds(settings.rate_limit_seconds)
    limited = bucket_per_address(
        "token_endpoints" if requests is None else "joins",
        _bucket(most or _UNLIMITED, window),
        window,
        action={"remote_address": {}},
        exempt=settings.rate_limit_exempt,
        rate_limited_as_resource_exhausted=True,
    )
    return {FILTER: limited}


def bucket_per_address(
    name: str, bucket: Config, window: str, *, action: Config, exempt: Sequence[str], **more: Any
) -> Config:
    """The limit for the address that `action` (one of a route's rate limits) takes from a request, and none for those
    of `exempt`. `window` is that of the bucket; `more` are further fields."""
    (key,) = action
    unlimited = _bucket(_UNLIMITED, window)
    free = [{"entries": [{"key": key, "value": address}], "token_bucket": unlimited} for address in exempt]
    # No value: one bucket for each address that no entry above names.
    every_other = {"entries": [{"key": key}], "token_bucket": bucket}
    return typed(
        _MESSAGE,
        stat_prefix=name,
        token_bucket=unlimited,
        always_consume_default_token_bucket=False,
        **{"filter_enabled": _ALWAYS, "filter_enforced": _ALWAYS, **more},
        rate_limits=[{"actions": [action]}],
        descriptors=[*free, every_other],
        max_dynamic_descriptors=_TRACKED_CLIENTS,
    )


def _bucket(tokens: int, window: str) -> Config:
    return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": window}
