import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.times import shown, told

SERVICES = Path(__file__).parents[3] / "services"
# What services tell one another, and nobody sorts.
INTERNAL = {"kernel/times.py", "clients/audit.py", "clients/grid_events.py", "auth_svc/convert/introspection.py"}


def text(time: datetime) -> str:
    stamp = shown(time)
    assert stamp is not None
    return stamp.ToJsonString()


@given(st.datetimes(timezones=st.just(UTC)), st.timedeltas(timedelta(0), timedelta(seconds=3)))
def test_times_sort_as_their_text_does(time: datetime, later: timedelta) -> None:
    try:
        after = time + later
    except OverflowError:
        return
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text(time))
    assert text(time) <= text(after)
    assert abs(datetime.fromisoformat(text(time)) - time) <= timedelta(milliseconds=1)


def test_answers_show_all_times_this_way() -> None:
    used = {str(path.relative_to(SERVICES)) for path in SERVICES.rglob("*.py") if "FromDatetime(" in path.read_text()}
    assert used == INTERNAL


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_was_told_is_that_time(time: datetime) -> None:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    assert told(stamp) == (time if stamp.ByteSize() else None)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_any_other_time_is_none(seconds: int, nanos: int) -> None:
    stamp = Timestamp(seconds=seconds, nanos=nanos)
    try:
        expected = stamp.ToDatetime(tzinfo=UTC) if stamp.ByteSize() else None
    except (ValueError, OverflowError):
        expected = None
    assert told(stamp) == expected
