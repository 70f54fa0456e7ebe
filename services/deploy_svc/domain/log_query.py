"""Which log lines a request selects (spec/deploy_rest.md section 7)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from services.kernel.errors import InvalidRequest

DEFAULT_LIMIT = 100
MOST_LINES = 10_000
_BIGGEST_ID = 2**63 - 1
_BIGGEST_NUMBER = 2**31 - 1
# Later than any line: what cannot be understood selects nothing.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
_LEADING_NUMBER = re.compile(r"\s*\+?0*(\d{1,18})", re.ASCII)
_LOG_ID = re.compile(r"[0-9a-fA-F]{1,24}")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """With `after`, the first `limit` lines after that id; without, the last `limit` ones. None means no filter."""

    limit: int = DEFAULT_LIMIT
    after: int | None = None
    since: datetime | None = None
    follow: bool = False
    instance: int | None = None
    container: str | None = None
    search: str | None = None


def parse_query(
    *, limit: str, after: str, since: str, follow: str, instance: str = "", container: str = "", search: str = ""
) -> LogQuery:
    """The selection that query parameters mean; an empty one was not given. Raises InvalidRequest for a strange id."""
    return LogQuery(
        limit=min(leading_number(limit) or DEFAULT_LIMIT, MOST_LINES),
        after=_log_id(after),
        since=_time(since) if since and not after else None,
        follow=switch(follow),
        instance=min(leading_number(instance), _BIGGEST_NUMBER) if instance else None,
        container=_plain(container),
        search=_plain(search),
    )


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


def _log_id(text: str) -> int | None:
    if not text:
        return None
    if _LOG_ID.fullmatch(text) is None:
        raise InvalidRequest("from is not the id of a log item")
    return min(int(text, 16), _BIGGEST_ID)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return NEVER


def _plain(text: str) -> str | None:
    # No stored text has this character, and Postgres does not take it.
    return text.replace("\0", "\ufffd\ufffd") or None
