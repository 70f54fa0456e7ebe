"""Revisions of rollouts: text that sorts by time."""

from datetime import datetime, timedelta

_FORMAT = "%Y-%m-%d %H:%M:%S.%f UTC"


def new_rev(now: datetime, last: str | None) -> str:
    """A deploy_rev: fixed-width UTC text, greater than `last` even when the clock went back."""
    rev = now.strftime(_FORMAT)
    if last is not None and rev <= last:
        rev = (datetime.strptime(last, _FORMAT) + timedelta(microseconds=1)).strftime(_FORMAT)
    return rev
