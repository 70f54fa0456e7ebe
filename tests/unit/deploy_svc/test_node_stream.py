"""What a node and a member can make deploy_svc hold of one command is counted in bytes, both ways."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.deploy_svc.domain.node_command import (
    Answer,
    Cancel,
    Event,
    Exec,
    Exit,
    Failed,
    Input,
    InputRead,
    Order,
    Output,
    Result,
)
from services.deploy_svc.usecases.node_stream import LocalCommand, NodeStream

MEBIBYTE = 1 << 20


class Node:
    """The far side of a stream: says what it is told to, and takes orders when it is asked."""

    def __init__(self) -> None:
        self.stream = NodeStream("s", "n")

    async def say(self, command: LocalCommand, *events: Event) -> None:
        async def given() -> AsyncIterator[tuple[str, Event]]:
            for event in events:
                yield command._id, event

        await self.stream.receive(given())

    async def take(self, count: int) -> list[Order]:
        orders = self.stream.orders_until([asyncio.create_task(asyncio.sleep(30))])
        return [(await anext(orders))[1] for _ in range(count)]

    async def hear(self, command: LocalCommand) -> list[Answer]:
        """All answers, while the node takes its orders."""
        taking = asyncio.create_task(self.take(1_000_000))
        try:
            async with asyncio.timeout(30):
                return [answer async for answer in command.answers()]
        finally:
            taking.cancel()


async def test_a_node_that_sends_output_nobody_asked_for_loses_this_command_only() -> None:
    node = Node()
    async with node.stream.open(Exec("c", ("yes",))) as bad, node.stream.open(Exec("c", ("date",))) as good:
        await node.say(bad, *[Output("stdout", b"x" * MEBIBYTE)] * 100)
        await node.say(good, Output("stdout", b"now"), Exit(0))
        heard = await node.hear(bad)
        assert sum(len(answer.data) for answer in heard[:-1] if isinstance(answer, Output)) < 4 * MEBIBYTE
        assert heard[-1] == Failed("refused", "the node sent more output than it was asked for")
        assert await node.hear(good) == [Output("stdout", b"now"), Exit(0)]


async def test_small_messages_count_as_what_they_cost() -> None:
    node = Node()
    async with node.stream.open(Exec("c", ("yes",))) as command:
        await node.say(command, *[Output("stdout", b"")] * 100_000)
        heard = await node.hear(command)
        assert len(heard) < 20_000
        assert isinstance(heard[-1], Failed)


async def test_a_command_has_one_last_answer() -> None:
    node = Node()
    async with node.stream.open(Exec("c", ("yes",))) as command:
        await node.say(command, *[Result("x" * MEBIBYTE)] * 100)
        assert command._answers.qsize() == 1


@pytest.mark.parametrize("size", [-(10**9), 10**9])
async def test_a_node_cannot_widen_the_window_of_input(size: int) -> None:
    node = Node()
    async with node.stream.open(Exec("c", ("cat",))) as command:
        await node.say(command, InputRead(size))
        feeding = asyncio.create_task(command.send(Input(b"x" * 10 * MEBIBYTE)))
        orders = await node.take(8)
        inputs = [order for order in orders if isinstance(order, Input)]
        assert all(len(item.data) <= 32 * 1024 for item in inputs)
        await asyncio.wait([feeding], timeout=0.2)
        assert not feeding.done()
        assert node.stream._orders._queue.qsize() <= 2
        feeding.cancel()


async def test_input_ends_with_its_last_piece() -> None:
    node = Node()
    async with node.stream.open(Exec("c", ("cat",))) as command:
        await command.send(Input(b"x" * 100_000, end=True))
        begin, *inputs = await node.take(5)
        assert isinstance(begin, Exec)
        assert [item.end for item in inputs if isinstance(item, Input)] == [False, False, False, True]
        assert b"".join(item.data for item in inputs if isinstance(item, Input)) == b"x" * 100_000
    assert (await node.take(1)) == [Cancel()]
