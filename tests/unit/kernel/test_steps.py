"""What many are told step by step."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.kernel import steps as kernel
from services.kernel.steps import Steps


class Counter:
    """Its steps are numbers; the whole is all of them, as one."""

    def __init__(self) -> None:
        self.told = 0
        self.steps: Steps[range] = Steps(self._whole)

    def _whole(self) -> Sequence[range]:
        return (range(self.told),)

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self.told += 1
            self.steps.add(range(self.told - 1, self.told))


def test_all_hear_the_same_objects_however_slow_they_are() -> None:
    counter = Counter()
    counter.go_on(3)
    slow, fast = counter.steps.after(0), counter.steps.after(2)
    assert [list(step) for step in slow] == [[0], [1], [2]]
    assert fast[0] is slow[2]
    assert counter.steps.after(3) == ()


def test_who_is_too_far_behind_hears_the_whole() -> None:
    counter = Counter()
    counter.go_on(kernel._KEPT)
    assert len(counter.steps.after(0)) == kernel._KEPT
    counter.go_on(1)
    assert counter.steps.after(0) == (range(kernel._KEPT + 1),)
    assert len(counter.steps.after(1)) == kernel._KEPT


@given(st.lists(st.tuples(st.integers(0, 70), st.booleans()), max_size=30))
def test_a_listener_always_ends_up_with_everything(turns: list[tuple[int, bool]]) -> None:
    counter = Counter()
    heard: set[int] = set()
    number: int | None = None
    for count, listens in [*turns, (0, True)]:
        counter.go_on(count)
        if listens:
            for step in counter.steps.after(number):
                heard.update(step)
            number = counter.steps.number
    assert heard == set(range(counter.told))
