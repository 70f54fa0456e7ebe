import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.fluent import Endpoint, endpoint, event
from tests.support.fluentd import unpacked


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("logs.example.test", Endpoint("logs.example.test", 24224)),
        ("10.0.0.1:24225", Endpoint("10.0.0.1", 24225)),
        ("tcp://10.0.0.1:24225", Endpoint("10.0.0.1", 24225)),
        ("[fd00::1]", Endpoint("fd00::1", 24224)),
        ("[fd00::1]:1", Endpoint("fd00::1", 1)),
        ("host:", None),
        ("host:http", None),
        ("host:65536", None),
        ("", None),
    ],
)
def test_where_a_grid_wants_its_logs(address: str, found: Endpoint | None) -> None:
    assert endpoint("fluentd", {"fluentd-address": address}) == found
    assert endpoint("none", {"fluentd-address": address}) is None


def test_a_grid_without_forwarder() -> None:
    assert endpoint("", {}) is None
    assert endpoint("fluentd", {}) is None


@given(
    st.text(),
    st.integers(0, 2**40),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text() | st.integers(0, 2**32), max_size=20),
)
def test_events_are_message_pack(tag: str, seconds: int, record: dict[str, str | int]) -> None:
    read = unpacked(io.BytesIO(event(tag, seconds, record)))
    assert read[1] == seconds
    assert read[2].keys() == record.keys()


def test_odd_text_is_sent_as_well_as_it_can() -> None:
    assert unpacked(io.BytesIO(event("a\ud800", 1, {"log": "\ud800x"}))) == ["a?", 1, {"log": "?x"}]
