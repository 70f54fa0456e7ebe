"""What survives the agent."""

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.data_volumes import DataVolumes
from agent.domain.data import DataMount
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import Position
from agent.domain.resolver_names import Endpoint
from agent.image_cleaner import ImageCleaner
from agent.logs.positions import LogPositions
from agent.network.memory import NetworkMemory
from agent.runtime.hollow import HollowRuntime
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


RUNS = '{"instanceId": "i", "serviceId": "s", "instanceNumber": 1, "desiredState": "running"}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "7",
        '{"assignments": null}',
        '{"assignments": [{"nonsense": 1}]}',
        '{"assignments": ["x"]}',
        RUNS.replace("running", "flying").join(('{"assignments": [', "]}")),
        RUNS.replace("1", '"many"').join(('{"assignments": [', "]}")),
        '{"node": {"id": 5}}',
        '{"node": {}}',
        '{"node_id": 5}',
        '{"former_nodes": "n1"}',
        '{"records": {"x": 1}}',
        '{"records": {"s/1": {"restarts": "3"}}}',
        '{"records": {"s/1": {"restarts": 3, "hooks": {}}}}',
        '{"records": {"s/one": {"restarts": 3}}}',
        '{"records": []}',
    ],
)
async def test_a_state_of_another_shape_is_set_aside_as_a_whole(folder: StateDir, tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    state = State(folder)
    assert (state.node, state.node_id, state.assignments, state.node_ids) == (None, "", {}, [])
    assert state.record(InstanceKey("s", 1), 7).restarts == 7
    assert (tmp_path / "state.json.unreadable").read_text() == content
    state.node_id = "ENGINE"
    state.flush()
    assert State(folder).node_id == "ENGINE"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("logs.json", content)
        for content in ("[]", '{"c": 5}', '{"c": ["1", 0, 0]}', '{"c": []}', '{"c": [1e400]}', '{"c": [-1, 0, 0]}')
    ]
    + [("images.json", content) for content in ("[]", '{"i": "yesterday"}', '{"i": null}', '{"i": 1e400}')],
)
async def test_positions_and_images_of_another_shape_are_set_aside(
    folder: StateDir, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    assert LogPositions(folder).get("c") is None
    ImageCleaner(HollowRuntime("ENGINE"), folder, 1.0)
    assert (tmp_path / f"{name}.unreadable").read_text() == content


async def test_what_is_written_is_read_again_and_what_a_newer_release_adds_is_left_out(
    folder: StateDir, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text(
        f'{{"node": null, "assignments": [{RUNS}], "records": {{"s/1": {{"restarts": 3, "new": 1}}}}, "new": []}}'
    )
    (tmp_path / "logs.json").write_text('{"c": [1792332000000000000, 2, 3]}')
    state = State(folder)
    assert list(state.assignments) == ["i"]
    assert state.record(InstanceKey("s", 1), 7).restarts == 3
    assert LogPositions(folder).get("c") == Position(1792332000000000000, 2, 3)


async def test_a_file_that_cannot_be_read_stays_where_it_is(folder: StateDir, tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    assert State(folder).node is None
    assert (tmp_path / "state.json").is_dir()


async def test_peers_are_on_disk_before_they_are_acted_upon(folder: StateDir, tmp_path: Path) -> None:
    memory = NetworkMemory(folder)
    memory.update_peers(session_pb.PeerUpdate(upserted=[session_pb.Peer(id="n2")]))
    await memory.write()
    assert list(NetworkMemory(folder).peers) == ["n2"]
    written = (tmp_path / "network.json").stat().st_ino
    await memory.write()
    assert (tmp_path / "network.json").stat().st_ino == written, "nothing changed, so nothing is written"


async def test_endpoints_come_back_as_they_were_changed_last(folder: StateDir) -> None:
    memory = NetworkMemory(folder)
    one, two, three = (Endpoint(key, "web", "null", key, "", False, "10.81.1.2", "n") for key in "abc")
    memory.replace_endpoints({"a": one, "b": two})
    memory.change_endpoints({"b": replace(two, address="10.81.1.9"), "c": three}, ["a", "unknown"])
    await memory.write()
    assert NetworkMemory(folder).endpoints == {"b": replace(two, address="10.81.1.9"), "c": three}


async def test_only_news_of_data_is_on_disk_before_the_agent_goes_on(
    folder: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing holds up all other instances of the node."""
    wanted, key = assignment(pod={"stateful": True}), InstanceKey("s", 1)
    site: Any = SimpleNamespace(state=State(folder), runtime=None)
    data, writes = DataVolumes(key, site), list[str]()
    write = StateDir.write
    monkeypatch.setattr(StateDir, "write", lambda self, name, text: (writes.append(name), write(self, name, text)))
    data.remember(wanted, [])
    assert writes == []
    mounts = [DataMount("/data", "web-1", fresh=True)]
    data.remember(wanted, mounts)
    assert State(folder).with_data() == {key: {"web-1"}}
    data.remember(wanted, mounts)
    data.note(wanted, None)
    assert len(writes) == 1
