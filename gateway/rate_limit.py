"""Rate limit of the token endpoints: one bucket per client address (docs/spec/auth_grid.md section 1.2)."""

from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, seconds, typed

_UNLIMITED = 1_000_000_000
_TRACKED_CLIENTS = 10_000
_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
_KEY = "remote_address"

_FILTER = "envoy.filters.http.local_ratelimit"
_MESSAGE = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def rate_limit_filter() -> Config:
    """Limits nothing by itself: routes that carry `per_client_limit` do."""
    return extension(_FILTER, _MESSAGE, stat_prefix="unlimited")


def per_client_limit(settings: GatewaySettings, requests: int | None = None) -> Config:
    """What such a route carries, `requests` or those of token endpoints per window: counts per process, in memory; of
    very many clients the least recent is forgotten."""
    most = settings.rate_limit_requests if requests is None else requests
    window = seconds(settings.rate_limit_seconds)
    unlimited = _bucket(_UNLIMITED, window)
    limited = _bucket(most, window) if most else unlimited
    exempt = [
        {"entries": [{"key": _KEY, "value": address}], "token_bucket": unlimited}
        for address in settings.rate_limit_exempt
    ]
    # No value: one bucket for each address that no entry above names.
    every_other = {"entries": [{"key": _KEY}], "token_bucket": limited}
    return {
        _FILTER: typed(
            _MESSAGE,
            stat_prefix="token_endpoints" if requests is None else "joins",
            token_bucket=unlimited,
            always_consume_default_token_bucket=False,
            filter_enabled=_ALWAYS,
            filter_enforced=_ALWAYS,
            rate_limits=[{"actions": [{"remote_address": {}}]}],
            descriptors=[*exempt, every_other],
            max_dynamic_descriptors=_TRACKED_CLIENTS,
            rate_limited_as_resource_exhausted=True,
        )
    }


def _bucket(tokens: int, window: str) -> Config:
    return {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": window}
