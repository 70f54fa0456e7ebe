from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kontena.deploy.v1 import service_pb2, stats_pb2
from services.kernel.elements import MOST_ELEMENTS, count
from services.kernel.errors import InvalidRequest

SPEC = service_pb2.ServiceSpec.DESCRIPTOR


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_or_refused(raw: bytes) -> None:
    with suppress(InvalidRequest):
        assert 0 <= count(SPEC, raw) <= len(raw)


def test_nested_elements_count() -> None:
    spec = service_pb2.ServiceSpec(links=[service_pb2.Link(name="a", alias="b")] * 3, env=["A=1", "B=2"])
    assert count(SPEC, spec.SerializeToString()) == 3 * (1 + 2) + 2


def test_elements_that_no_reader_knows_count_too() -> None:
    with pytest.raises(InvalidRequest, match="more than"):
        count(stats_pb2.PushStatsRequest.DESCRIPTOR, b"\xc2\x3e\x00" * (MOST_ELEMENTS + 1))


def test_a_long_text_is_one_element() -> None:
    spec = service_pb2.ServiceSpec(env=["A=" + "x" * 3_000_000])
    assert count(SPEC, spec.SerializeToString()) == 1
