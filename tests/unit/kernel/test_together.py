"""Who is worked on with whom."""

import asyncio
from collections.abc import Sequence

import pytest

from services.kernel.together import Together
from tests.support.eventually import eventually


class Work:
    """Notes what it is given; goes on when it is let, and fails with what is wrong."""

    def __init__(self, *wrong: str) -> None:
        self.done: list[list[str]] = []
        self.go_on = asyncio.Event()
        self._wrong = set(wrong)

    async def __call__(self, jobs: Sequence[str]) -> None:
        self.done.append(list(jobs))
        await self.go_on.wait()
        if wrong := self._wrong & set(jobs):
            raise ValueError(*sorted(wrong))


def begin(together: Together[str], *jobs: str, key: str = "") -> list[asyncio.Task[None]]:
    return [asyncio.create_task(together.do(key, job)) for job in jobs]


async def begun(work: Work, count: int) -> None:
    async def so_many() -> bool:
        return len(work.done) >= count

    await eventually(so_many)


async def test_what_comes_while_others_are_worked_on_goes_together_in_its_order() -> None:
    work = Work()
    together = Together(work, most=3)
    tasks = begin(together, "a")
    await begun(work, 1)
    tasks += begin(together, "b", "c", "d", "e")
    work.go_on.set()
    await asyncio.gather(*tasks)
    assert work.done == [["a"], ["b", "c", "d"], ["e"]]
    await together.do("", "f")
    assert work.done[-1] == ["f"]


async def test_keys_do_not_wait_for_one_another() -> None:
    work = Work()
    together = Together(work, most=3)
    tasks = begin(together, "a", key="1") + begin(together, "b", key="2")
    await begun(work, 2)
    work.go_on.set()
    await asyncio.gather(*tasks)
    assert sorted(work.done) == [["a"], ["b"]]


async def test_what_is_wrong_with_one_is_told_to_it_alone() -> None:
    work = Work("c", "e")
    together = Together(work, most=10)
    first = begin(together, "a")
    await begun(work, 1)
    tasks = begin(together, "b", "c", "d", "e")
    work.go_on.set()
    await asyncio.gather(*first)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [repr(each) for each in found] == ["None", "ValueError('c')", "None", "ValueError('e')"]
    assert work.done == [["a"], ["b", "c", "d", "e"], ["b"], ["c"], ["d"], ["e"]]


async def test_who_goes_away_takes_back_what_has_not_begun() -> None:
    work = Work()
    together = Together(work, most=10)
    [first] = begin(together, "a")
    await begun(work, 1)
    [gone, stays] = begin(together, "b", "c")
    await asyncio.sleep(0)
    for task in (first, gone):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    work.go_on.set()
    await stays
    assert work.done == [["a"], ["c"]]
