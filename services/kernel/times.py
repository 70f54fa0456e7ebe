"""Times as answers show them, and as callers tell them."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANO = 1_000_000_000


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
    # Not by ToDatetime, which takes three times as long: a node tells a time with each line.
    seconds, nanos = stamp.seconds, stamp.nanos
    if not (seconds or nanos) or not 0 <= nanos < _NANO:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        return None


def rfc3339(time: datetime) -> str:
    """UTC with milliseconds, e.g. `2017-02-13T10:00:05.123Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
