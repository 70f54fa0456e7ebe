"""An agent that dies and comes back touches nothing that runs: MH-52, MH-53."""

import stat
import time
from pathlib import Path

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import SLEEP, gone
from tests.integration.agent.agent_process import AgentProcess
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SECRET = "open-sesame-4711"


def started(engine: Engine) -> dict[str, tuple[str, str]]:
    """Id and start of each container, by name."""
    shown = [engine.inspect(item["Id"]) for item in engine.containers()]
    return {item["Name"]: (item["Id"], item["State"]["StartedAt"]) for item in shown}


async def test_a_killed_agent_adopts_its_containers(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    wanted = assignment(
        pod={"image": IMAGE, "cmd": SLEEP},
        restarts=4,
        secrets=[pb.PodSecret(name="PASSWORD", type="env", value=SECRET)],
    )
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    before = await master.running(wanted)
    agent_process.kill()
    master.statuses.clear()
    agent_process.start()
    after = await master.running(wanted)
    assert (after.container_id, after.started_at) == (before.container_id, before.started_at)
    assert SECRET not in agent_process.output()
    assert "grid-token-value" not in agent_process.output()
    for file in (tmp_path / "state").iterdir():
        assert SECRET not in file.read_text()
        assert "grid-token-value" not in file.read_text()
    assert stat.S_IMODE((tmp_path / "state" / "state.json").stat().st_mode) == 0o600


async def test_without_a_master_containers_are_kept_running(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    wanted = assignment(
        pod={"image": IMAGE, "cmd": SLEEP}, secrets=[pb.PodSecret(name="PASSWORD", type="env", value=SECRET)]
    )
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    before = await master.running(wanted)
    state = tmp_path / "state" / "state.json"

    async def remembered() -> bool:
        return wanted.instance_id in state.read_text()

    await eventually(remembered)
    agent_process.kill()
    await master.stop()
    engine.request("POST", "/containers/web-1/kill")
    agent_process.start()

    async def runs() -> bool:
        return bool(engine.inspect("web-1")["State"]["Running"])

    await eventually(runs, message="the container runs without a master")
    assert engine.inspect("web-1")["Id"] == before.container_id
    master.statuses.clear()
    await master.start()
    await master.running(wanted)


@pytest.mark.parametrize("forgetful", [False, True])
async def test_an_agent_that_starts_without_a_master_touches_nothing(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path, forgetful: bool
) -> None:
    wanted = assignment(pod={"image": IMAGE, "cmd": SLEEP})
    keeper = assignment(service="db", pod={"image": IMAGE, "cmd": SLEEP, "stateful": True})
    master.assigned = {item.instance_id: item for item in (wanted, keeper)}
    agent_process.start()
    await master.running(wanted)
    await master.running(keeper)
    agent_process.kill()
    await master.stop()
    # The master may have assigned it a moment before it went away.
    unknown = {**engine.inspect("web-1")["Config"]["Labels"], "io.kontena.service.instance_number": "7"}
    engine.request("POST", "/containers/create?name=web-7", {"Image": IMAGE, "Cmd": SLEEP, "Labels": unknown})
    engine.request("POST", "/containers/web-7/start")
    if forgetful:
        for file in (tmp_path / "state").iterdir():
            file.unlink()
    before = started(engine)
    assert len(before) == 3
    agent_process.start()

    async def tried() -> bool:
        return agent_process.output().count("not connected to the master") >= 3

    await eventually(tried)
    assert started(engine) == before


async def test_an_empty_list_removes_all_containers_and_data_of_this_node_and_no_others(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = assignment(pod={"image": IMAGE, "cmd": SLEEP})
    data = {"stateful": True, "volumes": [{"path": "/data"}]}
    keeper = assignment(service="db", pod={"image": IMAGE, "cmd": SLEEP, **data})
    master.assigned = {item.instance_id: item for item in (wanted, keeper)}
    agent_process.start()
    await master.running(wanted)
    await master.running(keeper)
    engine.request("POST", "/containers/create?name=foreign", {"Image": IMAGE, "Cmd": SLEEP})
    assert len(engine.request("GET", "/volumes")["Volumes"]) == 1
    master.assigned = {}
    master.cut("Attach")

    async def removed() -> bool:
        return [item["Names"] for item in engine.containers()] == [["/foreign"]] and not engine.volumes()

    await eventually(removed)


async def test_what_moved_away_while_the_node_was_down_does_not_start_here_again(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = assignment(pod={"image": IMAGE, "cmd": SLEEP})
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    await master.running(wanted)
    agent_process.kill()
    engine.request("POST", "/containers/web-1/kill")
    since = time.time()
    master.assigned = {}
    agent_process.start()
    await gone(engine, "web-1")
    assert engine.events("start", since) == []


async def test_a_container_with_secrets_waits_for_the_master(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    wanted = assignment(
        pod={"image": IMAGE, "cmd": SLEEP}, secrets=[pb.PodSecret(name="PASSWORD", type="env", value=SECRET)]
    )
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    await master.running(wanted)
    agent_process.kill()
    await master.stop()
    engine.remove_containers()
    agent_process.start()

    async def waits() -> bool:
        return "instance waits for the master" in agent_process.output()

    await eventually(waits)
    assert engine.containers() == []
    await master.start()
    master.statuses.clear()
    await master.running(wanted)
    assert f"PASSWORD={SECRET}" in engine.inspect("web-1")["Config"]["Env"]


async def test_a_restart_asked_for_while_the_agent_was_down_happens_once(
    master: Master, agent_process: AgentProcess
) -> None:
    wanted = assignment(pod={"image": IMAGE, "cmd": SLEEP}, restarts=1)
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    before = await master.running(wanted)

    async def settled() -> bool:
        return agent_process.handled_restarts() == [1]

    await eventually(settled)
    agent_process.kill()
    wanted.restarts = 2
    master.statuses.clear()
    agent_process.start()
    after = await master.status(
        wanted, lambda status: status.started_at.ToNanoseconds() > before.started_at.ToNanoseconds()
    )
    assert (after.state, after.container_id) == ("running", before.container_id)

    async def handled() -> bool:
        return agent_process.handled_restarts() == [2]

    await eventually(handled)
    agent_process.kill()
    master.statuses.clear()
    agent_process.start()
    again = await master.running(wanted)
    assert again.started_at == after.started_at


async def test_an_agent_killed_at_any_step_of_a_deploy_ends_it_after_its_return(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    data = {"stateful": True, "volumes": [{"path": "/data"}]}
    slow = [pb.PodHook(id="pre_start/slow", type="pre_start", cmd="sleep 0.3")]
    wanted = assignment(pod={"image": IMAGE, "cmd": SLEEP, "hooks": slow, **data})
    bystander = assignment(2, pod={"image": IMAGE, "cmd": SLEEP})
    master.assigned = {item.instance_id: item for item in (wanted, bystander)}
    agent_process.start()
    await master.running(wanted)
    healthy = await master.running(bystander)
    for step in (
        "getting image",
        "container created",
        "/web-1-pre_start-",
        "/web-1.former",
        "removed the old container",
    ):
        said = len(agent_process.output())
        wanted.service_revision += 1
        wanted.deploy_rev += "+"
        master.assign(wanted)

        async def reached(step: str = step, said: int = said) -> bool:
            names = [name for item in engine.containers() for name in item["Names"]]
            return step in agent_process.output()[said:] or any(name.startswith(step) for name in names)

        await eventually(reached, message=step)
        agent_process.kill()
        agent_process.start()
        await master.running(wanted)
        names = sorted(name for item in engine.containers() for name in item["Names"])
        assert names == ["/web-1", "/web-2"], step
        revision = engine.inspect("web-1")["Config"]["Labels"]["io.kontena.container.service_revision"]
        assert revision == str(wanted.service_revision)
    again = await master.running(bystander)
    assert (again.container_id, again.started_at) == (healthy.container_id, healthy.started_at)
    assert {status.error for status in master.history} == {""}
