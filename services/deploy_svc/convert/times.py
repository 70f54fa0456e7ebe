"""Times on the wire."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def from_timestamp(stamp: Timestamp, default: datetime) -> datetime:
    """The time to the microsecond; `default` when it is unset or outside the years 1 to 9999."""
    if not stamp.ByteSize():
        return default
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return default


def rfc3339(time: datetime) -> str:
    """UTC with milliseconds, e.g. `2017-02-13T10:00:05.123Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
