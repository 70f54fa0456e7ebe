"""Health checks of a container (docs/spec/orchestration.md section 8.9). Pure.

The container's labels say how it is checked, so that a check lasts exactly as long as the container it was made for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

HEALTHY = "healthy"
UNHEALTHY = "unhealthy"

_PREFIX = "io.kontena.health_check."
_DEFAULT_INTERVAL = 60
_DEFAULT_TIMEOUT = 10
_DEFAULT_INITIAL_DELAY = 10


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`protocol` is http or tcp, which need a port, or exec, which needs a command; times are seconds."""

    protocol: str
    port: int = 0
    uri: str = "/"
    interval: int = _DEFAULT_INTERVAL
    timeout: int = _DEFAULT_TIMEOUT
    initial_delay: int = _DEFAULT_INITIAL_DELAY
    cmd: tuple[str, ...] = ()

    def labels(self) -> dict[str, str]:
        """The check as labels of the container."""
        names = ("protocol", "interval", "timeout", "initial_delay")
        found = {f"{_PREFIX}{name}": str(getattr(self, name)) for name in names}
        if self.protocol == "exec":
            return found | {f"{_PREFIX}cmd": json.dumps(self.cmd)}
        found[f"{_PREFIX}port"] = str(self.port)
        return found | ({f"{_PREFIX}uri": self.uri} if self.protocol == "http" else {})


def check_of(labels: Mapping[str, str]) -> HealthCheck | None:
    """The check that the labels ask for; None when they ask for none that can be made."""
    protocol = labels.get(f"{_PREFIX}protocol", "")
    port = _number(labels, "port", 0)
    cmd = _command(labels) if protocol == "exec" else ()
    if not cmd and (protocol not in ("http", "tcp") or not 0 < port < 65536):
        return None
    uri = labels.get(f"{_PREFIX}uri", "") or "/"
    return HealthCheck(
        protocol,
        port,
        uri if uri.startswith("/") else f"/{uri}",
        max(1, _number(labels, "interval", _DEFAULT_INTERVAL)),
        max(1, _number(labels, "timeout", _DEFAULT_TIMEOUT)),
        _number(labels, "initial_delay", _DEFAULT_INITIAL_DELAY),
        cmd,
    )


def http_problem(answer: int | str) -> str:
    """What is wrong with an HTTP status, or with there being none for the reason given; empty when it is healthy."""
    if isinstance(answer, str):
        return answer
    return "" if 200 <= answer <= 399 else f"status {answer}"


def _command(labels: Mapping[str, str]) -> tuple[str, ...]:
    try:
        found = json.loads(labels.get(f"{_PREFIX}cmd", ""))
    except ValueError:
        return ()
    return tuple(found) if isinstance(found, list) and all(isinstance(word, str) for word in found) else ()


def _number(labels: Mapping[str, str], name: str, default: int) -> int:
    text = labels.get(f"{_PREFIX}{name}", "")
    return int(text) if text.isascii() and text.isdigit() else default
