"""Where a grid may send metrics and logs, checked when that is set.

Metrics are looked at again when they are sent, as a name may come to mean another address; logs are sent by the nodes.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from services.grid_svc.domain.grid import Logs, Statsd
from services.grid_svc.domain.log_target import FLUENTD_ADDRESS, host_of


class Targets(Protocol):
    """Knows what is closed."""

    async def refusal_of(self, host: str) -> str | None:
        """Why nothing is sent there, None when it is fine."""


class Destinations:
    """What is closed for metrics, and for logs."""

    def __init__(self, metrics: Targets, logs: Targets) -> None:
        self._metrics = metrics
        self._logs = logs

    async def errors(self, statsd: Statsd | None, logs: Logs | None) -> Mapping[str, Any]:
        """By attribute, what cannot be used and who may open it."""
        errors: dict[str, Any] = {}
        if statsd is not None and (reason := await self._metrics.refusal_of(statsd.server)):
            told = f"Server {statsd.server} cannot be used: {reason}. An operator may open it with STATSD_ALLOWED"
            errors["stats"] = {"statsd": {"server": told}}
        address = logs.opts.get(FLUENTD_ADDRESS, "") if logs is not None else ""
        if address and (reason := await self._logs.refusal_of(host_of(address))):
            errors["logs"] = (
                f"{FLUENTD_ADDRESS} {address} cannot be used: {reason}. "
                "An operator may open it with LOG_TARGETS_ALLOWED"
            )
        return errors
