"""Rows of a COPY without NUL, by looking at columns first."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.kernel.storable import storable, storable_rows

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TEXT = st.text(alphabet="a\0", max_size=3)


@given(st.lists(st.tuples(st.none() | _TEXT, st.integers(), st.lists(_TEXT, max_size=2), st.just(_NOW)), max_size=4))
def test_rows_are_as_if_each_value_was_looked_at(rows: list[tuple[object, ...]]) -> None:
    assert list(storable_rows(rows)) == [storable(row) for row in rows]


def test_rows_with_nothing_to_replace_are_not_made_again() -> None:
    rows = [("a", None, 1, _NOW), (None, "b", 2, _NOW)]
    assert storable_rows(rows) is rows
