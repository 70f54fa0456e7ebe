"""Times as answers show them, and as callers tell them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def shown(time: datetime | None) -> Timestamp | None:
    """The time in milliseconds, as the API has them; None stays unset.

    The JSON of a Timestamp leaves out a fraction that is zero, and clients sort times as text. So a whole second is
    shown a millisecond late: all times have three digits, and none changes places with another (docs/adr/0062).
    """
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time.replace(microsecond=max(1, time.microsecond // 1000) * 1000))
    return stamp


def told(stamp: Timestamp) -> datetime | None:
    """The time to the microsecond; None when it is unset or outside the years 1 to 9999."""
    try:
        return stamp.ToDatetime(tzinfo=UTC) if stamp.ByteSize() else None
    except (ValueError, OverflowError):
        return None


def rfc3339(time: datetime) -> str:
    """UTC with milliseconds, e.g. `2017-02-13T10:00:05.123Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
