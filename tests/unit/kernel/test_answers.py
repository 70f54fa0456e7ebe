import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.kernel import answers
from services.kernel.answers import Answers
from services.kernel.errors import DomainError, RateLimited, Unavailable

MOST = 100


class Kitchen:
    """Makes answers when it is told to."""

    def __init__(self) -> None:
        self.answers = Answers(MOST)
        self.making: list[str] = []
        self.ready = asyncio.Event()

    async def make(self, name: str, size: int, caller: str = "u") -> None:
        async with self.answers.room("/List", name.encode(), caller) as answer:
            self.making.append(name)
            await self.ready.wait()
            answer.size = size

    @contextmanager
    def open(self) -> Iterator[None]:
        self.ready.set()
        yield
        self.ready.clear()

    async def learned(self, *names: str, size: int) -> None:
        with self.open():
            for name in names:
                await self.make(name, size)
        self.making.clear()


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_of_answers_that_nobody_knows_two_are_made_at_a_time() -> None:
    kitchen = Kitchen()
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(kitchen.make(str(number), 1))
        await _settled()
        assert kitchen.making == ["0", "1"]
        kitchen.ready.set()
    assert kitchen.making == ["0", "1", "2", "3", "4", "5"]


async def test_answers_that_were_small_are_made_side_by_side_and_large_ones_alone() -> None:
    kitchen = Kitchen()
    await kitchen.learned("a", "b", "c", size=30)
    await kitchen.learned("large", size=1000)
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "large", "c"):
            group.create_task(kitchen.make(name, 30))
        await _settled()
        # "c" would fit, but whoever comes later does not keep "large" waiting.
        assert kitchen.making == ["a", "b"]
        kitchen.ready.set()
    assert kitchen.making == ["a", "b", "large", "c"]


async def test_no_more_than_eight_are_made_however_small() -> None:
    kitchen = Kitchen()
    names = [str(number) for number in range(20)]
    await kitchen.learned(*names, size=0)
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(kitchen.make(name, 0))
        await _settled()
        assert len(kitchen.making) == 8
        kitchen.ready.set()


async def test_a_large_request_takes_room_as_well() -> None:
    kitchen = Kitchen()
    await kitchen.learned("x" * 80, "y" * 80, size=0)
    async with asyncio.TaskGroup() as group:
        for name in ("x" * 80, "y" * 80):
            group.create_task(kitchen.make(name, 0))
        await _settled()
        assert kitchen.making == ["x" * 80]
        kitchen.ready.set()


async def test_an_error_and_a_caller_that_leaves_give_their_room_back() -> None:
    kitchen = Kitchen()
    with pytest.raises(ValueError, match="no"):
        async with kitchen.answers.room("/List", b"", "u"):
            raise ValueError("no")
    tasks = [asyncio.create_task(kitchen.make(str(number), 1)) for number in range(5)]
    await _settled()
    for task in tasks[:4]:
        task.cancel()
    await _settled()
    assert kitchen.making == ["0", "1", "4"]
    kitchen.ready.set()
    await tasks[4]
    await kitchen.learned("a", "b", size=50)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(kitchen.make(name, 50))
        await _settled()
        assert kitchen.making == ["a", "b"]
        kitchen.ready.set()


async def test_whoever_leaves_just_when_there_is_room_leaves_it_to_the_next() -> None:
    kitchen = Kitchen()
    tasks = [asyncio.create_task(kitchen.make(str(number), 1)) for number in range(4)]
    await _settled()
    # The third is cancelled, and before it knows its turn has come.
    kitchen.ready.set()
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [type(None), type(None), asyncio.CancelledError, type(None)]
    await kitchen.learned("a", "b", size=50)


async def test_one_caller_has_so_many_waiting_and_others_are_served() -> None:
    kitchen = Kitchen()
    refused: list[DomainError] = []

    async def ask(name: str, caller: str) -> None:
        try:
            await kitchen.make(name, 1, caller)
        except DomainError as error:
            refused.append(error)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(ask(str(number), "greedy"))
        await _settled()
        group.create_task(ask("other", "modest"))
        await _settled()
        kitchen.ready.set()
    assert len(refused) == 100 - 64 - 2
    assert {type(error) for error in refused} == {RateLimited}
    assert refused[0].headers() == {"retry-after": "1"}
    assert "other" in kitchen.making


async def test_whoever_waits_too_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_WAIT_SECONDS", 0.01)
    kitchen = Kitchen()
    tasks = [asyncio.create_task(kitchen.make(str(number), 1)) for number in range(2)]
    await _settled()
    with pytest.raises(Unavailable) as refused:
        await kitchen.make("late", 1)
    assert refused.value.headers() == {"retry-after": "1"}
    kitchen.ready.set()
    await asyncio.gather(*tasks)
    await kitchen.make("late", 1)
