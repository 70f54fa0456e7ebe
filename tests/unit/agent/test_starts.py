"""How many containers are started at once."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.domain.labels import InstanceKey
from agent.operations import Operations
from agent.removal import NoLogs, NoMaster, NoRemovals
from agent.runtime.hollow import START_SECONDS, HollowContainers, HollowRuntime
from agent.site import LoggedEvents, Site
from agent.state import State
from agent.state_dir import StateDir
from agent.streams.reporter import Reporter
from kontena.grid.v1 import node_session_pb2 as session_pb
from tests.unit.agent.agent_factories import assignment


class Counting(HollowContainers):
    """Knows how many containers were being started at most."""

    def __init__(self) -> None:
        super().__init__("ENGINE")
        self.starting = self.most = 0

    async def start(self, container_id: str) -> None:
        self.starting += 1
        self.most = max(self.most, self.starting)
        await super().start(container_id)
        self.starting -= 1


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    folder = StateDir(tmp_path)
    found = State(folder)
    found.describe_node(session_pb.NodeDescription(id="n1", name="node-1", grid="main"))
    yield found
    folder.close()


async def test_many_instances_are_started_a_few_at_a_time(state: State) -> None:
    runtime = HollowRuntime("ENGINE")
    runtime.containers = counting = Counting()
    site = Site(runtime, Reporter(), state, NoLogs(), NoMaster(), NoRemovals(), LoggedEvents())
    pod = {"labels": {START_SECONDS: "0.01"}}
    wanted = [assignment(number, pod=pod) for number in range(1, 41)]
    keys = [InstanceKey(item.service_id, item.instance_number) for item in wanted]
    await asyncio.gather(
        *(Operations(key, site).create(item, None, sealed=False) for key, item in zip(keys, wanted, strict=True))
    )
    assert len(await counting.list_all(["n1"])) == 40
    assert counting.most == min(40, max(4, os.cpu_count() or 1))
