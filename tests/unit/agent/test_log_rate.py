"""How much of a container's log is kept."""

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.log_rate import LineBudget, LogRate


def kept(budget: LineBudget, seconds: float, per_second: int, start: float, size: int = 1) -> int:
    """Of a container that writes evenly."""
    return sum(budget.takes(size, start + n / per_second) for n in range(int(seconds * per_second)))


def test_a_burst_within_the_stock_is_kept_whole() -> None:
    budget = LineBudget(LogRate(10, 1000), 0.0)
    assert all(budget.takes(100, 0.0) for _ in range(1000))
    assert budget.loss() == ""
    assert not budget.takes(100, 0.0)
    assert budget.loss() == "kontena: 1 lines were dropped, as more than 10 per second were written"
    assert budget.loss() == ""


def test_a_flood_is_cut_to_the_rate_with_one_word_per_pause() -> None:
    budget = LineBudget(LogRate(100, 1000), 0.0)
    words = 0
    found = 0
    for n in range(100_000):
        if budget.takes(1, n / 1000):
            found += 1
            words += bool(budget.loss())
    assert 1000 + 9000 <= found <= 1000 + 10_001
    assert words <= 100 / 5 + 1


def test_long_lines_count_for_more() -> None:
    budget = LineBudget(LogRate(1, 100), 0.0)
    assert sum(budget.takes(10 * 1024, 0.0) for _ in range(100)) == 9


def test_no_limit() -> None:
    budget = LineBudget(LogRate(0, 0), 0.0)
    assert kept(budget, 10, 1000, 0.0, 10_000) == 10_000


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 300_000)), max_size=200))
def test_never_more_than_rate_and_stock_allow(lines: list[tuple[float, int]]) -> None:
    budget = LineBudget(LogRate(10, 50), 0.0)
    now, spent = 0.0, 0
    for pause, size in lines:
        now += pause
        if budget.takes(size, now):
            spent += 1 + size // 1024
        assert spent <= 50 + 10 * now + 1e-6
