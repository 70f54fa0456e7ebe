"""Where lines are within segments, and how many of them are read together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.log_segment import PART_BITS, SIZE, Segment, enough, windows

PART = 1 << PART_BITS
segments = st.builds(Segment, st.integers(0, 9), st.integers(0, 500), st.integers(0, 500), st.integers(1, 2**64 - 1))


@given(segments)
def test_ranges_are_the_parts_with_lines_in_order_and_apart(segment: Segment) -> None:
    ranges = segment.ranges()
    covered = {number // PART for first, last in ranges for number in range(first, last, PART)}
    assert covered == {segment.first // PART + part for part in range(SIZE // PART) if segment.parts >> part & 1}
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ranges))
    assert segment.first <= ranges[0][0] < ranges[-1][1] <= segment.last


@given(st.lists(segments, min_size=1), st.integers(1, 999), st.integers(0, 20_000), st.integers(1, 99))
def test_enough_is_as_few_as_have_the_lines_and_no_more_than_fit(
    some: list[Segment], lines: int, cost: int, ranges: int
) -> None:
    chosen = enough(some, lines=lines, cost=cost, ranges=ranges)
    assert chosen == some[: len(chosen)] != []
    assert sum(segment.lines for segment in chosen[:-1]) < lines
    if len(chosen) > 1:
        assert sum(segment.search_cost for segment in chosen) <= cost
        assert sum(len(segment.ranges()) for segment in chosen) <= ranges


@given(st.integers(0, 5000), st.integers(-1, 5000), st.booleans())
def test_windows_cover_every_segment_once_and_are_few(first: int, count: int, newest_first: bool) -> None:
    found = windows(first, first + count, newest_first=newest_first)
    numbers = [number for low, high in found for number in range(low, high + 1)]
    assert sorted(numbers) == list(range(first, first + count + 1))
    assert found == sorted(found, reverse=newest_first)
    assert len(found) <= 5
