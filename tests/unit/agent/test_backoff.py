"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.backoff import crash_delay, next_attempt, reconnect_delay, refused_delay, retry_delay
from agent.streams.session import delay_after

attempts = st.integers(1, 10_000)
chances = st.floats(0, 1)


def test_crash_pauses_are_squares_up_to_half_a_minute() -> None:
    assert [crash_delay(n) for n in range(9)] == [0, 1, 4, 9, 16, 25, 30, 30, 30]


def test_failed_applies_are_retried_ever_more_slowly() -> None:
    assert [retry_delay(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_replica_that_stops_costs_an_agent_no_patience() -> None:
    """However many do so within a few seconds, as in a rolling restart; what is broken does."""
    assert [next_attempt(n, 0.5, "SERVER_STOPPING") for n in range(5)] == [1, 1, 1, 1, 1]
    assert [next_attempt(n, 0.5, "UNAVAILABLE") for n in range(5)] == [1, 2, 3, 4, 5]
    assert next_attempt(9, 11.0, "UNAVAILABLE") == 1


@given(chances)
def test_the_first_reconnect_is_quick(chance: float) -> None:
    assert 0.2 <= reconnect_delay(1, chance) <= 0.5


@given(attempts, chances)
def test_reconnects_never_spin_and_never_wait_long(attempt: int, chance: float) -> None:
    assert 0.2 <= reconnect_delay(attempt, chance) <= 15


@given(attempts, chances)
def test_a_refused_agent_asks_slowly_but_asks(attempt: int, chance: float) -> None:
    assert 1.4 <= refused_delay(attempt, chance) <= 60


def test_an_agent_whose_place_is_taken_waits_for_minutes() -> None:
    assert [delay_after("AGENT_SUPERSEDED", 1, chance) for chance in (0.0, 1.0)] == [180.0, 300.0]
    assert delay_after("SESSION_SUPERSEDED", 1, 1.0) < 3, "whether somebody else is the node now, the next try tells"
