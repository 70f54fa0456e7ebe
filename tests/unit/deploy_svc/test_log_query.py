from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.log_query import LogQuery, format_log_id, leading_number, parse_query
from services.kernel.errors import DomainError, InvalidRequest, ValidationFailed

EMPTY = dict.fromkeys(["limit", "after", "since", "follow", "before", "instance", "container", "search"], "")


def query(**changed: str) -> LogQuery:
    return parse_query(**{**EMPTY, **changed})


@pytest.mark.parametrize(
    ("text", "limit"),
    [("", 100), ("0", 100), ("-5", 100), ("x", 100), ("7", 7), ("7x", 7), (" 12 ", 12), ("9" * 5000, 10000)],
)  # fmt: skip
def test_limit_is_the_leading_number(text: str, limit: int) -> None:
    assert query(limit=text).limit == limit


@pytest.mark.parametrize(("text", "on"), [("", False), ("0", False), ("false", False), ("1", True), ("true", True)])
def test_follow_is_on_unless_it_says_no(text: str, on: bool) -> None:
    assert query(follow=text).follow is on


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2017-01-31T12:00:00Z", datetime(2017, 1, 31, 12, tzinfo=UTC)),
        ("2017-01-31 12:00", datetime(2017, 1, 31, 12, tzinfo=UTC)),
        ("2017-01-31T14:00:00+02:00", datetime(2017, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_since_is_utc(text: str, time: datetime) -> None:
    assert query(since=text).since == time


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00:00+23:00", " ", "2026-13-01"])
def test_since_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="since: Since isn't a time"):
        query(since=text)


@pytest.mark.parametrize(("text", "number"), [("2", 2), (" 02 ", 2), ("9" * 5000, 2**31 - 1)])
def test_an_instance_is_a_number(text: str, number: int) -> None:
    assert query(instance=text).instance == number


@pytest.mark.parametrize("text", ["x", "1x", "-1", "1.5", "web-1"])
def test_an_instance_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="instance: Instance isn't the number of an instance"):
        query(instance=text)


def test_since_is_ignored_with_from() -> None:
    assert query(since="yesterday", after=format_log_id(7)) == LogQuery(after=7)


def test_a_strange_id_is_refused_and_a_huge_one_selects_nothing() -> None:
    with pytest.raises(InvalidRequest):
        query(after="xyz")
    assert query(after="f" * 24).after == 2**63 - 1


@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=2))
def test_ids_sort_like_their_numbers(numbers: list[int]) -> None:
    first, second = sorted(numbers)
    assert format_log_id(first) <= format_log_id(second)
    assert query(after=format_log_id(second)).after == second


@given(st.fixed_dictionaries({name: st.text() for name in EMPTY}))
def test_any_text_is_understood_or_refused(texts: dict[str, Any]) -> None:
    try:
        found = parse_query(**texts)
    except DomainError:
        return
    assert 1 <= found.limit <= 10000
    assert "\0" not in (found.search or "")
    assert leading_number(texts["limit"]) >= 0
