"""Times on the wire."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime) -> Timestamp:
    """Times are shown in milliseconds (spec/vault.md section 1.2)."""
    shown = Timestamp()
    shown.FromDatetime(time.replace(microsecond=time.microsecond // 1000 * 1000))
    return shown


def optional_timestamp(time: datetime | None) -> Timestamp | None:
    """As `timestamp`; an absent time stays absent."""
    return None if time is None else timestamp(time)
