"""Hooks on a real engine: MH-57, MH-58, MH-59."""

from pathlib import Path

import pytest

from tests.integration.agent.agent_node import assignment, hook, redeployed
from tests.integration.agent.agent_process import AgentProcess, running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

WRITE = "echo once >> /data/runs"
DATA = {"volumes": [{"name": "hook-data", "path": "/data"}]}
# Tells, by its log, what hooks have written before it started.
SHOW = ["sh", "-c", "echo runs $(cat /data/runs | wc -l); trap 'exit 0' TERM; sleep 100000 & wait"]


async def said(master: Master, container: str, text: str) -> None:
    async def found() -> bool:
        texts = master.texts(container)
        assert text in texts, texts
        return True

    await eventually(found, message=f"{container} says {text!r}")


@pytest.mark.usefixtures("node")
async def test_pre_start_runs_in_a_container_of_its_own_with_the_settings_of_the_pod(
    master: Master, engine: Engine
) -> None:
    hooks = [hook("pre_start", "prepare", "echo $GREETING from hook; echo x >> /data/runs")]
    wanted = assignment(pod={**DATA, "env": ["GREETING=hello"], "cmd": SHOW, "hooks": hooks})
    master.assign(wanted)
    await master.running(wanted)
    await said(master, "web-1", "runs 1")
    lines = [line for line in master.lines if line.hook == "pre_start/prepare"]
    texts = [line.data for line in lines]
    assert "hello from hook" in texts
    assert any(text.startswith("running pre_start hook prepare: echo") for text in texts)
    assert {(line.service_id, line.container_name) for line in lines} == {(wanted.service_id, "web-1")}
    assert {line.hook for line in master.lines if line.data == "runs 1"} == {""}
    assert [item["Names"] for item in engine.containers()] == [["/web-1"]]


@pytest.mark.usefixtures("node")
async def test_a_failing_pre_start_is_the_error_of_the_instance_and_nothing_starts(
    master: Master, engine: Engine
) -> None:
    wanted = assignment(pod={"hooks": [hook("pre_start", "check", "exit 3")]})
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert status.error == "pre_start hook check failed: exit code 3"
    assert status.state == "missing"


@pytest.mark.usefixtures("node")
async def test_post_start_runs_inside_and_its_failure_leaves_the_instance_running(
    master: Master, engine: Engine
) -> None:
    hooks = [
        hook("post_start", "mark", "touch /marked; echo done marking; echo oh >&2"),
        hook("post_start", "fail", "exit 4"),
        hook("post_start", "never", "echo not reached"),
    ]
    wanted = assignment(pod={"hooks": hooks})
    master.assign(wanted)
    status = await master.running(wanted)
    await said(master, "web-1", "done marking")
    await said(master, "web-1", "oh")
    assert master.texts("web-1", "stderr") == ["oh"]
    assert {line.hook for line in master.lines if line.data == "done marking"} == {"post_start/mark"}
    assert "not reached" not in master.texts("web-1")
    assert not status.error


@pytest.mark.usefixtures("node")
async def test_pre_stop_runs_before_a_stop_a_replacement_and_a_removal(master: Master, engine: Engine) -> None:
    hooks = [hook("pre_stop", "leave", "echo stopping $(kill -0 1 && echo alive)")]
    wanted = assignment(pod={"hooks": hooks})
    master.assign(wanted)
    await master.running(wanted)
    stopped = redeployed(wanted, desired_state="stopped")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")
    await said(master, "web-1", "stopping alive")
    master.lines.clear()
    again = redeployed(stopped, desired_state="running", service_revision=2)
    master.assign(again)
    await master.running(again)
    newer = redeployed(again, service_revision=3)
    master.assign(newer)
    await master.running(newer)
    await said(master, "web-1", "stopping alive")
    master.lines.clear()
    master.withdraw(wanted.instance_id)
    await said(master, "web-1", "stopping alive")


@pytest.mark.usefixtures("node")
async def test_a_one_shot_hook_is_recorded_before_it_runs_and_runs_once(master: Master, engine: Engine) -> None:
    hooks = [hook("pre_start", "once", WRITE, oneshot=True), hook("pre_start", "always", WRITE)]
    wanted = assignment(pod={**DATA, "cmd": SHOW, "hooks": hooks})
    master.answers_hooks = False
    master.assign(wanted)

    async def asked() -> bool:
        return bool(engine.request("GET", "/volumes")["Volumes"])

    await eventually(asked)
    states = [item["State"] for item in engine.containers()]
    assert set(states) <= {"created"}, "nothing runs before the master has recorded the hook"
    master.answers_hooks = True
    master.cut("Attach")
    await master.running(wanted)
    assert master.started_hooks == [(wanted.instance_id, "pre_start/once")]
    await said(master, "web-1", "runs 2")
    newer = redeployed(wanted, service_revision=2)
    master.assign(newer)
    await master.running(newer)
    await said(master, "web-1", "runs 3")
    assert len(master.started_hooks) == 1


async def test_a_one_shot_hook_that_failed_is_not_repeated_by_anybody(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    wanted = assignment(pod={"hooks": [hook("pre_start", "once", "exit 1", oneshot=True)]})
    master.assigned[wanted.instance_id] = wanted
    for folder in ("first", "second"):
        # The second agent has lost its memory; the master has not.
        chosen = settings(master.uri, tmp_path / folder, runtime="docker", docker_host=engine.host)
        async with running_agent(chosen):
            await master.running(wanted)
        engine.remove_containers()
        master.statuses.clear()
    errors = {status.error for status in master.history if status.error}
    assert errors == {"pre_start hook once failed: exit code 1"}
    assert master.started_hooks == [(wanted.instance_id, "pre_start/once")]


async def test_a_hook_cut_short_by_the_death_of_the_agent_leaves_nothing(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = assignment(pod={"hooks": [hook("pre_start", "slow", "sleep 1", oneshot=False)]})
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()

    async def hook_runs() -> bool:
        return any(item["State"] == "running" for item in engine.containers())

    await eventually(hook_runs)
    agent_process.kill()
    agent_process.start()
    await master.running(wanted)
    assert [item["Names"] for item in engine.containers()] == [["/web-1"]]
