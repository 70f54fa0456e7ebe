"""What several follow is read once for all of them."""

import asyncio
from collections.abc import Sequence

import pytest

from services.deploy_svc.domain import batch as sizes
from services.deploy_svc.domain.batch import Entry
from services.deploy_svc.usecases import tail as tails
from services.deploy_svc.usecases.tail import Tail
from tests.support.eventually import eventually

BATCH = 3
FOLLOWERS = 50


class Log:
    """Items with ids from 1 on; notes from where each read began, and which items were read."""

    def __init__(self, items: int = 0) -> None:
        self.newest = items
        self.read_after: list[int] = []
        self.read_items: list[int] = []
        self.wake = asyncio.Event()
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()

    def add(self, count: int) -> None:
        self.newest += count
        self.wake.set()

    async def began(self, reads: int) -> None:
        async def enough() -> bool:
            return len(self.read_after) >= reads

        await eventually(enough)

    async def read(self, after: int) -> tuple[int, Sequence[Entry], bool]:
        self.read_after.append(after)
        await self.open.wait()
        if self.broken:
            raise ConnectionError
        ids = range(after + 1, min(self.newest, after + BATCH) + 1)
        self.read_items += ids
        return (ids[-1] if ids else self.newest), [(number, b"%d" % number) for number in ids], len(ids) == BATCH


async def follow(tail: Tail, last: int, until: int) -> list[int]:
    """Ids that a follower sees, in the order in which it does."""
    seen: list[int] = []
    await tail.look()
    while not seen or seen[-1] < until:
        found = await tail.after(last)
        assert found is not None
        last, batch = found
        seen += [number for number, _ in batch.entries]
    return seen


async def test_each_item_is_read_once_however_many_follow() -> None:
    log = Log()
    tail = Tail(0, log.read, log.wake)
    followers = [asyncio.create_task(follow(tail, 0, 10)) for _ in range(FOLLOWERS)]
    for _ in range(5):
        await asyncio.sleep(0)
        log.add(2)
    assert await asyncio.gather(*followers) == [list(range(1, 11))] * FOLLOWERS
    assert log.read_items == list(range(1, 11))


async def test_items_are_put_together_once_however_many_follow() -> None:
    log = Log()
    tail = Tail(0, log.read, log.wake)
    log.add(2)
    followers = [asyncio.create_task(tail.after(0)) for _ in range(FOLLOWERS)]
    found = [batch for _, batch in filter(None, await asyncio.gather(*followers))]
    assert len(found) == FOLLOWERS
    assert [batch.joined for batch in found] == [b"12"] * FOLLOWERS
    assert len({id(batch.joined) for batch in found}) == 1


async def test_who_is_behind_is_given_a_bounded_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MOST_BYTES", 2)
    log = Log(6)
    tail = Tail(0, log.read, log.wake)
    assert await follow(tail, 0, 6) == [1, 2, 3, 4, 5, 6]
    given: list[bytes] = []
    position = 1
    while position < 6:
        found = await tail.after(position)
        assert found is not None
        position = found[0]
        given.append(found[1].joined)
    # Behind the first item of a batch: what is left of it, and then those that all others got.
    assert given == [b"2", b"3", b"45", b"6"]


async def test_followers_begin_where_they_are() -> None:
    log = Log(5)
    tail = Tail(2, log.read, log.wake)
    early = asyncio.create_task(follow(tail, 2, 8))
    # Ahead of what was read for the others so far.
    late = asyncio.create_task(follow(tail, 5, 8))
    log.add(3)
    assert (await early, await late) == ([3, 4, 5, 6, 7, 8], [6, 7, 8])


async def test_who_is_too_far_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "_KEPT_BYTES", 2)
    log = Log(9)
    tail = Tail(0, log.read, log.wake)
    assert await follow(tail, 0, 9) == list(range(1, 10))
    # What was read last is there for all that waited for it.
    assert await follow(tail, 6, 9) == [7, 8, 9]
    assert await tail.after(0) is None


async def test_items_of_a_database_that_was_put_back_are_forgotten() -> None:
    log = Log(5)
    tail = Tail(0, log.read, log.wake)
    assert await follow(tail, 0, 5) == [1, 2, 3, 4, 5]
    log.newest = 2
    follower = asyncio.create_task(follow(tail, 2, 3))
    await log.began(reads=3)
    log.add(1)
    assert await follower == [3]
    assert log.read_items == [1, 2, 3, 4, 5, 3]


async def test_what_comes_while_it_reads_is_not_missed() -> None:
    log = Log(1)
    log.open.clear()
    tail = Tail(0, log.read, log.wake)
    follower = asyncio.create_task(follow(tail, 0, 2))
    await log.began(reads=1)
    log.add(1)
    log.open.set()
    assert await follower == [1, 2]


async def test_a_failure_reaches_all_and_one_that_leaves_nobody() -> None:
    log = Log()
    log.broken = True
    log.open.clear()
    tail = Tail(0, log.read, log.wake)
    leaving, *others = [asyncio.create_task(follow(tail, 0, 1)) for _ in range(3)]
    await log.began(reads=1)
    leaving.cancel()
    log.open.set()
    results = await asyncio.gather(leaving, *others, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, ConnectionError, ConnectionError]
    log.broken = False
    log.add(1)
    assert await follow(tail, 0, 1) == [1]
    await tail.close()
