"""Loops that fail are tried again soon, however long the outage was."""

from services.kernel import loops


def test_what_failed_often_is_tried_again_within_two_seconds() -> None:
    assert all(0.05 <= loops.backoff(failures) <= 2.0 for failures in range(200))


def test_of_many_failures_in_a_row_fewer_and_fewer_are_told() -> None:
    assert [failures for failures in range(1, 40) if loops.is_told(failures)] == [1, 2, 4, 8, 16, 32]
