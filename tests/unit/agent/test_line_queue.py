"""The bounded queue of log lines."""

import asyncio

from agent.domain.log_frames import Position
from agent.logs.line_queue import Line, LineQueue
from kontena.deploy.v1 import assignment_pb2 as pb


def line(text: str) -> Line:
    return Line.of(pb.LogLine(data=text), Position())


def texts(lines: list[Line]) -> list[str]:
    return [item.line.data for item in lines]


async def test_a_full_queue_makes_readers_wait_and_drops_nothing() -> None:
    queue = LineQueue(most_lines=2)

    async def read() -> None:
        for number in range(6):
            await queue.put(line(str(number)))

    reader = asyncio.create_task(read())
    found: list[str] = []
    while len(found) < 6:
        await queue.filled()
        assert len(queue) <= 2
        found += texts(queue.take(10, 10_000))
        await asyncio.sleep(0)
    await reader
    assert found == [str(number) for number in range(6)]


async def test_batches_are_bounded_by_bytes_but_never_empty() -> None:
    queue = LineQueue()
    for text in ("x" * 1000, "y" * 1000):
        await queue.put(line(text))
    assert len(queue.take(10, 100)) == 1
    assert len(queue.take(10, 100)) == 1
    assert queue.take(10, 100) == []


async def test_lines_of_a_full_batch_need_not_wait_for_more() -> None:
    queue = LineQueue()
    await queue.put(line("x"))
    assert not queue.holds(2, 1000)
    await queue.put(line("y"))
    assert queue.holds(2, 1000)
    assert queue.holds(3, 400)
