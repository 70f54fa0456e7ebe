"""What a change of the assignments makes the agent look at."""

from collections import Counter
from collections.abc import AsyncIterator, Collection
from functools import partial
from pathlib import Path

import pytest

from agent.domain.labels import InstanceKey
from agent.hook_journal import HookJournal
from agent.logs.collector import LogCollector
from agent.logs.line_queue import LineQueue
from agent.logs.positions import LogPositions
from agent.runtime.hollow import HollowContainers, HollowRuntime
from agent.runtime.ports import Container
from agent.site import LoggedEvents, Site
from agent.state import State
from agent.state_dir import StateDir
from agent.streams.reporter import Reporter
from agent.worker import Worker
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2 as session_pb
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment

COUNT = 12


class Looked(HollowContainers):
    """Counts looks by number of the instance."""

    def __init__(self) -> None:
        super().__init__("ENGINE")
        self.looks: Counter[int] = Counter()

    async def find(self, key: InstanceKey, kind: str, node_ids: Collection[str]) -> list[Container]:
        self.looks[key.number] += 1
        return await super().find(key, kind, node_ids)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[tuple[Worker, State, Looked]]:
    folder = StateDir(tmp_path)
    state = State(folder)
    state.describe_node(session_pb.NodeDescription(id="n1", name="node-1", grid="main"))
    runtime = HollowRuntime("ENGINE")
    runtime.containers = looked = Looked()
    logs = LogCollector(runtime, LineQueue(), LogPositions(folder))
    site = partial(Site, runtime, Reporter(), state, logs, HookJournal(), events=LoggedEvents(), settle=0)
    async with Worker(site, logs) as found:
        yield found, state, looked
    await logs.close()
    folder.close()


async def test_a_change_of_one_instance_looks_at_no_other(worker: tuple[Worker, State, Looked]) -> None:
    found, state, looked = worker
    first = [assignment(number) for number in range(1, COUNT + 1)]

    async def applied(*wanted: pb.Assignment) -> bool:
        keys = [(InstanceKey(item.service_id, item.instance_number), item) for item in wanted]
        return all(state.record(key, item.restarts).applied_rev == item.deploy_rev for key, item in keys)

    found.replace(first)
    await eventually(lambda: applied(*first), message="all are applied")
    looked.looks.clear()
    changed, added = assignment(3, deploy_rev="2026-01-02"), assignment(COUNT + 1)
    found.patch([changed, added], [first[6].instance_id])
    await eventually(lambda: applied(changed, added), message="what changed is applied")

    async def gone() -> bool:
        return await looked.inspect("web-7") is None

    await eventually(gone, message="what is not assigned any more is gone")
    assert set(looked.looks) == {3, 7, COUNT + 1}
    assert {item.name for item in await looked.list_all(["n1"])} == {
        f"web-{number}" for number in range(1, COUNT + 2) if number != 7
    }
