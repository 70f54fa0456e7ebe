"""What goes wrong around an agent: an engine that hangs, a registry that says nothing, a disk that is full."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from agent.domain.errors import EngineUnreachable
from agent.runtime.docker.engine import Engine as EngineCalls
from agent.state_dir import StateDir
from tests.integration.agent.agent_node import assignment, gone, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that takes connections and never says a word, and whether somebody has come since that was cleared."""
    over, visited = asyncio.Event(), asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], visited
        over.set()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 KiB at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as target, contextlib.suppress(OSError):
        while True:
            target.write(b"x" * 512)


async def test_an_agent_that_waits_for_its_engine_can_be_stopped(tmp_path: Path) -> None:
    async with silent_server() as (port, visited):
        engine = settings(
            "127.0.0.1:1", tmp_path / "state", runtime="docker", DOCKER_HOST=f"tcp://127.0.0.1:{port}", node_id=""
        )
        async with asyncio.timeout(30):
            async with running_agent(engine):
                await visited.wait()
            # The next one may use its folder.
            StateDir(tmp_path / "state").close()


async def test_a_call_ends_at_its_deadline_when_the_engine_says_nothing() -> None:
    async with silent_server() as (port, _):
        engine = EngineCalls(f"tcp://127.0.0.1:{port}")
        with pytest.raises(EngineUnreachable, match="did not answer in time"):
            async with engine.call(0.1) as docker:
                await docker.system.info()
        with pytest.raises(EngineUnreachable, match="did not answer in time"):
            async with engine.opened("events", {}, seconds=0.1):
                pass
        await engine.close()


@pytest.mark.usefixtures("node")
async def test_a_hung_engine_costs_no_session_and_nothing_false_is_reported(master: Master, engine: Engine) -> None:
    before = assignment(1)
    master.assign(before)
    first = await master.running(before)
    meanwhile = assignment(2)
    with engine.hung():
        master.assign(meanwhile)
        heard = master.heartbeats

        async def beating() -> bool:
            return master.heartbeats > heard + 3

        await eventually(beating, message="heartbeats go on")
    await master.running(meanwhile)
    assert (len(master.hellos), master.attached) == (1, 1)
    assert {(item.state, item.error) for item in master.history} == {("running", "")}
    shown = engine.inspect("web-1")
    assert shown["Id"] == first.container_id
    assert {item.started_at.ToNanoseconds() for item in master.history if item.container_id == shown["Id"]} == {
        first.started_at.ToNanoseconds()
    }, "not touched"


@pytest.mark.usefixtures("node")
async def test_a_registry_that_says_nothing_holds_up_neither_a_stop_nor_another_deploy_nor_a_removal(
    master: Master, engine: Engine
) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    async with silent_server() as (port, asked), asyncio.timeout(200):
        slow = redeployed(wanted, service_revision=2)
        slow.pod.image = f"127.0.0.1:{port}/slow:1"
        master.assign(slow)
        await asked.wait()
        stopped = redeployed(slow, desired_state="stopped")
        master.assign(stopped)
        status = await master.status(stopped, lambda status: status.state == "stopped")
        assert status.container_id == before.container_id

        asked.clear()
        again = redeployed(stopped, desired_state="running")
        master.assign(again)
        await asked.wait()
        good = redeployed(again, service_revision=3)
        good.pod.image = wanted.pod.image
        master.assign(good)
        await master.running(good)

        asked.clear()
        last = redeployed(good, service_revision=4)
        last.pod.image = slow.pod.image
        master.assign(last)
        await asked.wait()
        master.withdraw(wanted.instance_id)
        await gone(engine, "web-1")
    assert {item.error for item in master.history} == {""}


async def test_a_full_disk_keeps_the_agent_from_nothing_and_what_it_knows_is_written_later(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    wanted = assignment(restarts=1)
    with small_disk(tmp_path / "state") as folder:
        (folder / "lock").touch()
        fill(folder / "junk")
        chosen = settings(master.uri, folder, runtime="docker", docker_host=engine.host)
        async with running_agent(chosen):
            master.assigned[wanted.instance_id] = wanted
            first = await master.running(wanted)
            wanted.restarts = 2
            master.assign(wanted)
            await master.status(
                wanted, lambda status: status.started_at.ToNanoseconds() > first.started_at.ToNanoseconds()
            )
            assert not (folder / "state.json").exists()
            (folder / "junk").unlink()

            async def written() -> bool:
                file = folder / "state.json"
                return file.exists() and [r["restarts"] for r in json.loads(file.read_text())["records"].values()] == [
                    2
                ]

            await eventually(written)
    assert {item.error for item in master.history} == {""}


@pytest.mark.parametrize("used_before", [False, True])
async def test_a_folder_that_is_read_only_keeps_the_agent_from_nothing(
    master: Master, tmp_path: Path, used_before: bool
) -> None:
    wanted = assignment()
    with small_disk(tmp_path / "state") as folder:
        if used_before:
            StateDir(folder).close()
        make_read_only(folder)
        async with running_agent(settings(master.uri, folder)):
            master.assign(wanted)
            await master.running(wanted)
            with pytest.raises(RuntimeError, match="another agent uses"):
                StateDir(folder)


async def test_an_agent_whose_memory_makes_no_sense_asks_the_master(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    wanted = assignment()
    chosen = settings(master.uri, tmp_path, runtime="docker", docker_host=engine.host)
    async with running_agent(chosen):
        master.assign(wanted)
        before = await master.running(wanted)
    (tmp_path / "state.json").write_text('{"assignments": null, "records": 5}')
    (tmp_path / "logs.json").write_text('{"c": 5}')
    master.statuses.clear()
    async with running_agent(chosen):
        after = await master.running(wanted)
    assert (after.container_id, after.started_at) == (before.container_id, before.started_at)
    assert json.loads((tmp_path / "state.json").read_text())["node"]["id"] == master.node_id
