"""What survives the agent."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.domain.labels import InstanceKey
from agent.log_positions import LogPositions
from agent.state import State
from agent.state_dir import StateDir
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2 as session_pb
from tests.unit.agent.agent_factories import assignment


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateDir]:
    opened = StateDir(tmp_path)
    yield opened
    opened.close()


async def test_comes_back_without_secrets(folder: StateDir, tmp_path: Path) -> None:
    state = State(folder)
    state.node_id = "ENGINE"
    state.describe_node(session_pb.NodeDescription(id="n1", name="node", grid="main"))
    credentials = {"username": "u", "password": "hidden-1"}
    wanted = assignment(pod={"image_credentials": credentials, "env": ["A=1"]})
    wanted.secrets.append(pb.PodSecret(name="P", type="env", value="hidden-2"))
    state.keep_assignments([wanted])
    state.record(InstanceKey("s", 2), 3).applied_rev = "r1"
    state.flush()
    assert "hidden" not in (tmp_path / "state.json").read_text()
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600

    back = State(folder)
    kept = back.assignments[wanted.instance_id]
    assert (back.node_id, back.node_ids) == ("ENGINE", ["n1"])
    assert list(kept.pod.env) == ["A=1"]
    assert [secret.name for secret in kept.secrets] == ["P"]
    record = back.record(InstanceKey("s", 2), 9)
    assert (record.restarts, record.applied_rev) == (3, "r1")


async def test_without_a_record_restarts_so_far_count_as_handled(folder: StateDir) -> None:
    assert State(folder).record(InstanceKey("s", 1), 7).restarts == 7


async def test_as_another_node_nothing_old_is_wanted_but_its_containers_are_known(folder: StateDir) -> None:
    state = State(folder)
    state.describe_node(session_pb.NodeDescription(id="n1"))
    state.keep_assignments([assignment()])
    state.describe_node(session_pb.NodeDescription(id="n2"))
    assert state.assignments == {}
    assert state.node_ids == ["n2", "n1"]


@pytest.mark.parametrize(
    "content", ["", "not json", "[]", '{"assignments": [{"nonsense": 1}], "node": {"id": 5}, "records": {"x": 1}}']
)
async def test_a_broken_file_is_replaced(folder: StateDir, tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    (tmp_path / "logs.json").write_text(content)
    assert LogPositions(folder).get("c") is None
    state = State(folder)
    assert state.node is None
    state.node_id = "ENGINE"
    state.flush()
    assert '"ENGINE"' in (tmp_path / "state.json").read_text()
