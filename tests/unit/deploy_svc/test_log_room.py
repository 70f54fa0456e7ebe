"""Who gives when all grids together have too many logs."""

from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.log_room import most_of_one

_SIZES = st.lists(st.integers(0, 1000), max_size=20)


def test_who_has_most_gives_first() -> None:
    assert most_of_one([10, 20, 500], quota=1000, total=100) == 70
    assert most_of_one([10, 400, 500], quota=1000, total=100) == 45
    assert most_of_one([10, 20, 30], quota=1000, total=100) == 1000
    assert most_of_one([10, 20, 500], quota=15, total=100) == 15
    assert most_of_one([], quota=15, total=100) == 15


@given(_SIZES, st.integers(1, 1000), st.integers(1, 5000))
def test_what_is_left_fits_and_nobody_with_a_small_share_loses(used: list[int], quota: int, total: int) -> None:
    most = most_of_one(used, quota, total)
    assert most <= quota
    assert sum(min(size, most) for size in used) <= total
    if used:
        assert most >= min(quota, total // len(used))
