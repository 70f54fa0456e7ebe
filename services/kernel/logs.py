"""Structured JSON logs with the request id of the gateway; values of secret-looking keys are never written."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# A code lets people log in, but not one that a program or a request ended with.
_SECRET = re.compile(
    r"(token|secret|password|authorization|private_key|(?<!exit_)(?<!status_)code|value)$", re.IGNORECASE
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event without the values of secret-looking keys."""
    for key in event:
        if _SECRET.search(key):
            event[key] = "[redacted]"
    return event


def configure(service: str, level: str = "info") -> None:
    """Send logs of this process, libraries included, as one JSON object per line to standard error. Idempotent."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _l, _m, event: {"service": service, **event},
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
