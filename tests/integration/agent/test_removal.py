"""`python -m agent remove-containers` and what the next agent does."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.app import choose_runtime
from agent.state import State
from agent.state_dir import StateDir
from tests.integration.agent.agent_node import assignment, hook
from tests.integration.agent.agent_process import ROOT, AgentProcess, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.slow]


async def remove_containers(state_dir: Path) -> subprocess.CompletedProcess[str]:
    """The command as the guide has it: without a token, and without being told which engine the agent used."""
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    variables = {"KONTENA_STATE_DIR": str(state_dir)}
    command = [sys.executable, "-m", "agent", "remove-containers"]
    # The master goes on to answer meanwhile.
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=env | variables, capture_output=True, text=True, check=False
    )


async def test_service_containers_go_data_stays_and_the_next_agent_makes_them_again(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    keep = "[ -e /data/x ] && echo kept; touch /data/x; echo touched; exec sleep 1000"
    stateful = assignment(
        service="db",
        pod={"stateful": True, "volumes": [{"path": "/data"}], "cmd": ["sh", "-c", keep], "stop_grace_period": 0},
    )
    volume = {"name": "left", "path": "/left"}
    plain = assignment(pod={"hooks": [hook("pre_stop", "leave", "touch /left/hook")], "volumes": [volume]})
    master.assigned = {item.instance_id: item for item in (stateful, plain)}
    engine.request("POST", "/containers/create?name=foreign", {"Image": plain.pod.image, "Cmd": ["true"]})
    agent_process.start()
    before = await master.running(plain)
    await master.status(stateful, lambda _: "touched" in master.texts("db-1"))
    refused = await remove_containers(tmp_path / "state")
    assert refused.returncode == 1, "not under a running agent"
    assert engine.inspect("web-1")["State"]["Running"]
    agent_process.kill()

    done = await remove_containers(tmp_path / "state")
    assert (done.returncode, done.stdout) == (0, "removed 2 containers\n"), done.stderr
    names = sorted(name for item in engine.containers() for name in item["Names"])
    assert names == ["/foreign"]
    assert (await remove_containers(tmp_path / "state")).stdout == "removed 0 containers\n"

    master.statuses.clear()
    master.lines.clear()
    agent_process.start()
    after = await master.running(plain)
    await master.running(stateful)
    assert after.container_id != before.container_id
    await master.status(stateful, lambda _: "kept" in master.texts("db-1"))
    agent_process.kill()
    engine.remove_containers()
    engine.request("DELETE", "/volumes/left")


async def test_an_engine_that_was_named_is_waited_for(tmp_path: Path) -> None:
    named = settings("127.0.0.1:1", tmp_path, runtime="auto", docker_host=f"unix://{tmp_path}/missing.sock")
    folder = StateDir(tmp_path / "state")
    runtime = await choose_runtime(named, State(folder))
    assert runtime.name == "docker"
    await runtime.close()
    folder.close()
