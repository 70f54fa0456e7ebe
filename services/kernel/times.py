"""Times as answers show them."""

from datetime import datetime

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
