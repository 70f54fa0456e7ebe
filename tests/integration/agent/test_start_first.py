"""`order: start_first` on a real engine: the container of before runs on until its successor is ready and known."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import SLEEP, assignment, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

SERVE = ["sh", "-c", "exec httpd -f -p 8080 -h /bin"]


def draining(master: Master, engine: Engine, state: Path, seconds: float) -> AbstractAsyncContextManager[None]:
    """An agent whose drain takes so long."""
    chosen = settings(master.uri, state, runtime="docker", docker_host=engine.host, drain_seconds=seconds)
    return running_agent(chosen)


@pytest.fixture
async def draining_node(master: Master, engine: Engine, tmp_path: Path) -> AsyncIterator[None]:
    async with draining(master, engine, tmp_path / "state", 2):
        yield


def successor(old: pb.Assignment, **pod: Any) -> pb.Assignment:
    """The next rollout, which starts first."""
    new = redeployed(old, service_revision=old.service_revision + 1)
    new.pod.MergeFrom(pb.Pod(start_first=True, **pod))
    return new


def running(engine: Engine) -> set[str]:
    return {name for item in engine.containers() if item["State"] == "running" for name in item["Names"]}


async def test_the_container_of_before_stops_after_its_successor_is_told(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    first = assignment(pod={"cmd": SERVE, "wait_for_port": 8080, "stop_grace_period": 0})
    master.assigned[first.instance_id] = first
    # So long that the test sees it, however busy the machine is; and then so short that it sees the end.
    async with draining(master, engine, tmp_path / "state", 600):
        before = await master.running(first)
        second = successor(first)
        master.assign(second)
        after = await master.running(second)
        assert after.container_id != before.container_id
        assert after.address != before.address
        assert running(engine) == {"/web-1", "/web-1.former"}
        assert engine.inspect(before.container_id)["State"]["Running"]

    async def alone() -> bool:
        return running(engine) == {"/web-1"}

    async with draining(master, engine, tmp_path / "state", 0.2):
        third = successor(second)
        master.assign(third)
        last = await master.running(third)
        await eventually(alone)
    assert engine.inspect("web-1")["Id"] == last.container_id != after.container_id
    assert all(status.state == "running" for status in master.history if status.instance_id == first.instance_id)


@pytest.mark.usefixtures("draining_node")
async def test_a_successor_that_does_not_become_ready_costs_the_container_of_before_nothing(
    master: Master, engine: Engine
) -> None:
    first = assignment(pod={"cmd": SLEEP, "stop_grace_period": 0})
    master.assign(first)
    before = await master.running(first)
    second = successor(first)
    del second.pod.cmd[:]
    second.pod.cmd.extend(["sh", "-c", "exit 7"])
    master.assign(second)
    status = await master.status(second, lambda status: bool(status.error))
    assert "ended by itself with exit code 7 before it was ready; the container of before runs on" in status.error
    assert (status.state, status.container_id, status.started_at) == ("running", before.container_id, before.started_at)
    assert running(engine) == {"/web-1"}


@pytest.mark.usefixtures("draining_node")
async def test_one_that_is_wanted_back_while_its_successor_starts_is_not_touched(
    master: Master, engine: Engine
) -> None:
    first = assignment(pod={"cmd": SLEEP, "stop_grace_period": 0})
    master.assign(first)
    before = await master.running(first)
    # Its port never opens.
    master.assign(successor(first, wait_for_port=9))

    async def beside() -> bool:
        return running(engine) == {"/web-1", "/web-1.next"}

    await eventually(beside)
    master.assign(first)

    async def alone() -> bool:
        return running(engine) == {"/web-1"}

    await eventually(alone)
    shown = engine.inspect("web-1")
    assert (shown["Id"], shown["State"]["Running"]) == (before.container_id, True)
