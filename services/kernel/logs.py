"""Structured JSON logs with the request id of the gateway; values of secret-looking keys are never written."""

import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
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


# Whose words are ours. Libraries never say more than `info`: some write down what passes through them, bodies and all.
_OURS = ("services", "agent", "gateway", "deploy")
# Told of each change of the level by the signal that made it: processes beside this one.
_listeners: set[Callable[[int], None]] = set()


def configure(service: str, level: str = "info") -> None:
    """Send logs of this process, libraries included, as one JSON object per line to standard error. Idempotent.

    SIGUSR1 makes our own ones as detailed as they get, SIGUSR2 what `level` says."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[
            # First: each request logs a line for those who want all details, which costs little for all others then.
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
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
    logging.basicConfig(handlers=[handler], level=max(logging.INFO, logging.getLevelName(level.upper())), force=True)
    set_level(level)
    if threading.current_thread() is threading.main_thread():
        for number, wanted in ((signal.SIGUSR1, "debug"), (signal.SIGUSR2, level)):
            signal.signal(number, partial(_on_signal, wanted))


def set_level(level: str) -> None:
    """How much our own loggers tell from now on."""
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


@contextmanager
def passed_on(listener: Callable[[int], None]) -> Iterator[None]:
    """Within the block the listener gets the number of each signal that changes the level."""
    _listeners.add(listener)
    try:
        yield
    finally:
        _listeners.discard(listener)


def _on_signal(level: str, number: int, _frame: Any) -> None:
    set_level(level)
    get_logger(__name__).warning("log level changed", to=level)
    for listener in tuple(_listeners):
        listener(number)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
