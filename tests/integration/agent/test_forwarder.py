"""Log lines go to the fluentd of the grid: a real TCP server that comes, goes and moves."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain import labels
from agent.logs.forwarder import LogForwarder
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import grid_pb2
from kontena.grid.v1 import node_session_pb2 as session_pb
from services.kernel.loops import Supervisor
from tests.support.eventually import eventually
from tests.support.fluentd import Fluentd

OF = {labels.STACK_NAME: "shop", labels.SERVICE_NAME: "web"}


@pytest.fixture
def fluentd() -> Iterator[Callable[..., Fluentd]]:
    made: list[Fluentd] = []

    def make(port: int = 0) -> Fluentd:
        made.append(Fluentd(port))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
async def forwarder() -> AsyncIterator[LogForwarder]:
    found, supervisor = LogForwarder(), Supervisor()
    supervisor.add("log forwarder", found.run)
    async with supervisor:
        yield found


def node(port: int | None) -> session_pb.NodeDescription:
    opts = {"fluentd-address": f"127.0.0.1:{port}"}
    logs = None if port is None else grid_pb2.GridLogs(forwarder="fluentd", opts=opts)
    return session_pb.NodeDescription(id="n1", name="node-1", grid="main", logs=logs)


def line(text: str) -> pb.LogLine:
    return pb.LogLine(data=text, type="stderr", instance_number=2, time=Timestamp(seconds=1000, nanos=5))


async def arrived(server: Fluentd, *texts: str) -> None:
    async def fact() -> bool:
        return set(texts) <= {record["log"] for _, _, record in server.events}

    await eventually(fact, message=f"{texts} at {server.port}")


async def test_lines_arrive_in_order_with_what_they_are_about(
    forwarder: LogForwarder, fluentd: Callable[..., Fluentd]
) -> None:
    server = fluentd()
    forwarder.offer(line("before the grid wanted it"), OF)
    forwarder.describe_node(node(server.port))
    for number in range(500):
        forwarder.offer(line(f"line {number}"), OF)
    await arrived(server, "line 499")
    assert [record["log"] for _, _, record in server.events] == [f"line {number}" for number in range(500)]
    tag, seconds, record = server.events[0]
    assert (tag, seconds) == ("node-1.main.shop.web.2", 1000)
    assert record == {
        "log": "line 0",
        "source": "stderr",
        "node": "node-1",
        "grid": "main",
        "stack": "shop",
        "service": "web",
        "instance_number": 2,
    }


async def test_a_server_that_was_away_gets_the_newest_lines(
    forwarder: LogForwarder, fluentd: Callable[..., Fluentd]
) -> None:
    server = fluentd()
    forwarder.describe_node(node(server.port))
    forwarder.offer(line("first"), OF)
    await arrived(server, "first")
    server.close()
    for number in range(2500):
        forwarder.offer(line(f"line {number}"), OF)
    again = fluentd(server.port)
    await arrived(again, "line 2499")
    texts = [record["log"] for _, _, record in again.events]
    assert texts == [f"line {number}" for number in range(2500 - len(texts), 2500)], "the newest, in order"
    assert len(texts) <= 2000


async def test_the_grid_moves_its_logs_and_ends_forwarding(
    forwarder: LogForwarder, fluentd: Callable[..., Fluentd]
) -> None:
    old, new = fluentd(), fluentd()
    forwarder.describe_node(node(old.port))
    forwarder.offer(line("old"), OF)
    await arrived(old, "old")
    forwarder.describe_node(node(new.port))
    forwarder.offer(line("new"), OF)
    await arrived(new, "new")
    forwarder.describe_node(node(None))
    forwarder.offer(line("none"), OF)
    forwarder.describe_node(node(new.port))
    forwarder.offer(line("again"), OF)
    await arrived(new, "again")
    assert [record["log"] for _, _, record in new.events] == ["new", "again"]
    assert [record["log"] for _, _, record in old.events] == ["old"]
