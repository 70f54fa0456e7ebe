"""The agent on the hollow runtime, against a real gRPC master."""

import json
from pathlib import Path

import pytest

from agent.domain.labels import InstanceKey
from agent.state import State
from agent.state_dir import StateDir
from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import UNKNOWN_FIELD, Master
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment


async def test_joins_with_its_tokens_and_describes_the_machine(master: Master, tmp_path: Path) -> None:
    async with running_agent(settings(master.uri, tmp_path, node_labels="az=a, ,ssd", private_ip="10.1.1.1")):

        async def described() -> bool:
            return bool(master.infos and master.stats) and master.heartbeats > 1

        await eventually(described)
    hello, info, stats = master.hellos[0], master.infos[0], master.stats[0]
    assert master.join_metadata[0]["kontena-grid-token"] == "grid-token"
    assert (hello.node_id, hello.name, list(hello.labels)) == ("ENGINE-1", "node-1", ["az=a", "ssd"])
    assert info.cpus > 0
    assert info.mem_total > 0
    assert info.private_ip == "10.1.1.1"
    assert info.engine_root_dir in {filesystem.name for filesystem in stats.filesystem}
    assert set(stats.load) == {"1m", "5m", "15m"}
    assert stats.memory.total > 0


async def test_brings_assignments_about_and_ships_logs(master: Master, tmp_path: Path) -> None:
    first, second = assignment(1), assignment(2)
    master.assigned[first.instance_id] = first
    async with running_agent(settings(master.uri, tmp_path)):
        await master.running(first)
        master.assign(second)
        await master.running(second)

        async def logged() -> bool:
            return master.texts("web-1") == ["web-1 started"] and master.texts("web-2") == ["web-2 started"]

        await eventually(logged)
        first.desired_state = "stopped"
        first.deploy_rev += "1"
        master.assign(first)
        await master.status(first, lambda status: status.state == "stopped")
    line = master.lines[0]
    assert (line.service_id, line.instance_number) == (first.service_id, 1)


async def test_a_confirmation_before_the_snapshot_cuts_nothing_off(master: Master, tmp_path: Path) -> None:
    master.confirms_early = True
    wanted = assignment(1)
    master.assigned[wanted.instance_id] = wanted
    async with running_agent(settings(master.uri, tmp_path)):
        await master.running(wanted)
    assert master.attached == 1


async def test_failures_are_reported_with_their_reason(master: Master, tmp_path: Path) -> None:
    missing = assignment(1, pod={"image": "hollow/missing:1"})
    broken = assignment(2, pod={"image": "hollow/broken:1"})
    refused = assignment(3, error="Secret PASSWORD does not exist")
    crashing = assignment(4, pod={"image": "hollow/crash:1"})
    master.assigned = {item.instance_id: item for item in (missing, broken, refused, crashing)}
    async with running_agent(settings(master.uri, tmp_path)):
        status = await master.status(missing, lambda status: bool(status.error))
        assert (status.state, "hollow/missing:1" in status.error) == ("missing", True)
        await master.status(broken, lambda status: "told to fail" in status.error)
        await master.status(refused, lambda status: status.error == "Secret PASSWORD does not exist")
        await master.status(crashing, lambda status: status.state == "restarting")


async def test_reconnects_quickly_and_goes_on_where_it_was(master: Master, tmp_path: Path) -> None:
    wanted = assignment(1)
    master.assigned[wanted.instance_id] = wanted
    async with running_agent(settings(master.uri, tmp_path)):
        before = await master.running(wanted)
        master.statuses.clear()
        await master.stop()
        await master.start()
        after = await master.running(wanted)

        async def joined_again() -> bool:
            return len(master.hellos) == 2

        await eventually(joined_again)
    assert after.container_id == before.container_id
    assert after.started_at == before.started_at


@pytest.mark.parametrize("stream", ["Connect", "Attach"])
async def test_a_cut_stream_is_opened_again(master: Master, tmp_path: Path, stream: str) -> None:
    async with running_agent(settings(master.uri, tmp_path)):

        async def attached() -> bool:
            return master.attached >= 1

        await eventually(attached)
        master.cut(stream)

        async def again() -> bool:
            return master.attached >= 2

        await eventually(again)
        late = assignment(1)
        master.assign(late)
        await master.running(late)


async def test_a_silent_master_is_left_and_asked_again(master: Master, tmp_path: Path) -> None:
    async with running_agent(settings(master.uri, tmp_path)):

        async def beating() -> bool:
            return master.heartbeats > 0

        await eventually(beating)
        master.silent = True

        async def left() -> bool:
            return len(master.hellos) > 1

        await eventually(left)


async def test_a_refused_agent_keeps_asking_slowly_and_joins_when_it_may(master: Master, tmp_path: Path) -> None:
    master.refusal = "INVALID_GRID_TOKEN"
    async with running_agent(settings(master.uri, tmp_path)):

        async def asked() -> bool:
            return len(master.join_metadata) >= 2

        await eventually(asked)
        assert len(master.join_metadata) < 4
        master.refusal = ""

        async def joined() -> bool:
            return bool(master.hellos)

        await eventually(joined)


async def test_an_assignment_nobody_can_mean_changes_nothing(master: Master, tmp_path: Path) -> None:
    good = assignment(1)
    master.assigned[good.instance_id] = good
    async with running_agent(settings(master.uri, tmp_path)):
        before = await master.running(good)
        bad = assignment(2, desired_state="dancing")
        master.assigned = {bad.instance_id: bad}
        attached = master.attached
        master.cut("Attach")

        async def tried() -> bool:
            return master.attached > attached

        await eventually(tried)
        master.assigned = {good.instance_id: good}
        master.statuses.clear()
        after = await master.running(good)
    assert after.container_id == before.container_id


async def test_what_a_newer_master_says_besides_is_harmless(master: Master, tmp_path: Path) -> None:
    wanted = pb.Assignment.FromString(assignment(1).SerializeToString() + UNKNOWN_FIELD)
    master.assigned[wanted.instance_id] = wanted
    async with running_agent(settings(master.uri, tmp_path)):
        before = await master.running(wanted)
        master.tell(pb.AttachResponse.FromString(UNKNOWN_FIELD))
        again = pb.Assignment.FromString(wanted.SerializeToString())
        again.deploy_rev += "1"
        master.assign(again)
        after = await master.running(again)
        assert master.attached == 1
    assert after.container_id == before.container_id
    file = tmp_path / "state.json"
    content = json.loads(file.read_text())
    content["new"] = content["node"]["new"] = content["assignments"][0]["new"] = 1
    for record in content["records"].values():
        record["new"] = 1
    file.write_text(json.dumps(content))
    folder = StateDir(tmp_path)
    state = State(folder)
    assert state.node is not None
    assert state.assignments.keys() == {wanted.instance_id}
    assert state.record(InstanceKey(wanted.service_id, 1), 0).applied_rev == again.deploy_rev
    folder.close()


async def test_an_error_of_the_master_does_not_hold_up_a_stop(master: Master, tmp_path: Path) -> None:
    wanted = assignment(1)
    master.assigned[wanted.instance_id] = wanted
    async with running_agent(settings(master.uri, tmp_path)):
        await master.running(wanted)
        stopped = assignment(1, desired_state="stopped", deploy_rev=wanted.deploy_rev + "1", error="Secret X is gone")
        master.assign(stopped)
        await master.status(stopped, lambda status: status.state == "stopped")


async def test_removal_then_return_of_an_instance(master: Master, tmp_path: Path) -> None:
    wanted = assignment(1)
    async with running_agent(settings(master.uri, tmp_path)):

        async def attached() -> bool:
            return master.attached >= 1

        await eventually(attached)
        master.assign(wanted)
        first = await master.running(wanted)
        master.withdraw(wanted.instance_id)
        wanted.instance_id = "0" * 24
        wanted.deploy_rev += "1"
        master.assign(wanted)
        second = await master.running(wanted)
    assert first.rev < second.rev


async def test_two_agents_cannot_share_a_state_folder(master: Master, tmp_path: Path) -> None:
    async with running_agent(settings(master.uri, tmp_path)):
        with pytest.raises(RuntimeError, match="another agent uses"):
            async with running_agent(settings(master.uri, tmp_path)):
                pass


async def test_an_agent_whose_place_is_taken_says_so_and_is_silent_for_minutes(master: Master, tmp_path: Path) -> None:
    async with running_agent(settings(master.uri, tmp_path)):

        async def attached() -> bool:
            return master.listening == 1

        await eventually(attached)
        tries = len(master.join_metadata)
        assert master.hellos[0].start_id
        master.refusal = "AGENT_SUPERSEDED"
        master.cut("Connect")

        async def silent() -> bool:
            return master.listening == 0

        await eventually(silent)
    assert len(master.join_metadata) == tries + 1
