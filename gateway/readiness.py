"""`/readyz`: 200 while every service of the suite has a healthy address, else 503."""

from collections.abc import Iterable

from gateway.typed import Config, extension

PATH = "/readyz"
# How Envoy's name of its own answer begins; local_replies.py gives it a body.
READY_DETAILS = "health_check_ok"


def readiness_filter(upstreams: Iterable[str]) -> Config:
    """Answers from what health checks know already; asks nobody."""
    return extension(
        "envoy.filters.http.health_check",
        "extensions.filters.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        # One healthy address of up to a hundred; Envoy counts whole percents.
        cluster_min_healthy_percentages={upstream: {"value": 1} for upstream in upstreams},
        headers=[
            {"name": ":path", "string_match": {"safe_regex": {"regex": rf"{PATH}(\?.*)?"}}},
            {"name": ":method", "string_match": {"exact": "GET"}},
        ],
    )
