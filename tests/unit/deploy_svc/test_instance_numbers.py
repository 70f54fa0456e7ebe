"""Numbers of instances (domain/instance_numbers.py)."""

import pytest

from services.deploy_svc.domain.instance_numbers import filled


@pytest.mark.parametrize(
    ("kept", "total", "expected"),
    [
        ([], 0, []),
        ([], 3, [1, 2, 3]),
        ([1, 3, 4], 3, [1, 3, 4]),
        ([5, 2], 4, [1, 2, 3, 5]),
        ([1, 2, 3], 2, [1, 2]),
    ],
)
def test_those_that_are_kept_and_the_lowest_free_ones(kept: list[int], total: int, expected: list[int]) -> None:
    assert filled(kept, total) == expected
