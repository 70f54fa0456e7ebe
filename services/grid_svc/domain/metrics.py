"""How busy nodes were, by the minute (docs/spec/auth_grid.md section 12.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.kernel.errors import InvalidRequest

_DEFAULT_SPAN = timedelta(hours=1)
# A plus sign in a query is a space once it is decoded.
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, bounds included."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Network interfaces and their numbers; None for what no sample had."""

    names: tuple[str, ...]
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Minute:
    """Averages of the samples of a minute."""

    at: datetime
    cpu_used: float
    cpu_cores: float
    memory: Mapping[str, float]
    filesystem: Mapping[str, float]
    network: Mapping[str, Interfaces]


def window(start: str, end: str, now: datetime) -> Window:
    """The span that two texts ask for; empty ones take the last hour. Raises InvalidRequest."""
    until = _time("to", end) if end else now
    try:
        since = _time("from", start) if start else until - _DEFAULT_SPAN
    except OverflowError:
        raise InvalidRequest("to is no date-time", field="to") from None
    return Window(since, until)


def _time(name: str, text: str) -> datetime:
    for parse in (_iso, parsedate_to_datetime):
        try:
            found = parse(text.strip())
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    raise InvalidRequest(f"{name} is no date-time", field=name)


def _iso(text: str) -> datetime:
    colons = text.count(":")
    return datetime.fromisoformat(_LOST_PLUS.sub("+", text) if colons > 1 or "T" in text.upper() else text)
