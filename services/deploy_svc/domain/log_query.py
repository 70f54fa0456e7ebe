"""Which log lines a request selects (docs/spec/deploy_rest.md section 7)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from services.kernel.errors import InvalidRequest
from services.kernel.validation import Checker

DEFAULT_LIMIT = 100
MOST_LINES = 10_000
_BIGGEST_ID = 2**63 - 1
_BIGGEST_NUMBER = 2**31 - 1
_LEADING_NUMBER = re.compile(r"\s*\+?0*(\d{1,18})", re.ASCII)
_NUMBER = re.compile(r"\s*0*(\d+)\s*", re.ASCII)
_LOG_ID = re.compile(r"[0-9a-fA-F]{1,24}")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """With `after`, the first `limit` lines after that id; without, the last `limit` ones. `before`: only lines before
    that id. None means no filter."""

    limit: int = DEFAULT_LIMIT
    after: int | None = None
    before: int | None = None
    since: datetime | None = None
    follow: bool = False
    instance: int | None = None
    container: str | None = None
    search: str | None = None


def parse_query(
    *,
    limit: str,
    after: str,
    since: str,
    follow: str,
    before: str = "",
    instance: str = "",
    container: str = "",
    search: str = "",
) -> LogQuery:
    """The selection that query parameters mean; an empty one was not given. Raises InvalidRequest for a strange id and
    ValidationFailed for an instance or a time that is none."""
    checker = Checker()
    follows = switch(follow)
    query = LogQuery(
        limit=min(leading_number(limit) or DEFAULT_LIMIT, MOST_LINES),
        after=_log_id("from", after),
        before=None if follows else _log_id("before", before),
        since=_time(checker, since) if since and not after else None,
        follow=follows,
        instance=_instance(checker, instance) if instance else None,
        container=container or None,
        search=search or None,
    )
    checker.done()
    return query


def switch(text: str) -> bool:
    """Whether a query parameter that is on by being there is on: anything but empty, 0 or false."""
    return text.strip().lower() not in ("", "0", "false")


def leading_number(text: str) -> int:
    """The number that the text begins with; 0 when there is none."""
    match = _LEADING_NUMBER.match(text)
    return int(match[1]) if match else 0


def format_log_id(number: int) -> str:
    """24 hexadecimal characters that sort like the number."""
    return f"{number:024x}"


def _log_id(parameter: str, text: str) -> int | None:
    if not text:
        return None
    if _LOG_ID.fullmatch(text) is None:
        raise InvalidRequest(f"{parameter} is not the id of a log item", field=parameter)
    return min(int(text, 16), _BIGGEST_ID)


def _time(checker: Checker, text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        checker.fail("since", "Since isn't a time, such as 2026-01-31T12:00:00Z")
        return None


def _instance(checker: Checker, text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        checker.fail("instance", "Instance isn't the number of an instance, such as 1")
        return None
    # Longer than any number of an instance: selects nothing.
    return int(match[1]) if len(match[1]) < len(str(_BIGGEST_NUMBER)) else _BIGGEST_NUMBER
