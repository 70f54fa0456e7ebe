"""Container logs reach the master complete, in order and once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.agent.agent_process import AgentProcess, running_agent, settings
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment

pytestmark = pytest.mark.docker


@pytest.fixture
async def node(master: Master, engine: Engine, tmp_path: Path) -> AsyncIterator[None]:
    async with running_agent(settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host)):
        yield


# Batches that an agent sends before the first one is confirmed.
UNCONFIRMED = 16


async def arrived(master: Master, name: str, expected: list[str], kind: str = "") -> None:
    async def complete() -> bool:
        found = master.texts(name, kind)
        assert len(found) >= len(expected), f"{len(found)} of {len(expected)} lines"
        return True

    await eventually(complete, within=90, message=f"the log of {name}")
    assert master.texts(name, kind) == expected


@pytest.mark.usefixtures("node")
async def test_a_container_that_prints_and_exits_at_once_loses_no_line(master: Master) -> None:
    script = "for i in $(seq 200); do echo out $i; done; echo last >&2; exit 1"
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script]})
    master.assign(wanted)
    once = [f"out {i}" for i in range(1, 201)]

    async def several_runs() -> bool:
        return len(master.texts("web-1", "stderr")) >= 2

    await eventually(several_runs)
    stopped = assignment(pod={"image": IMAGE}, desired_state="stopped", deploy_rev="3")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")

    async def whole_runs() -> bool:
        return len(master.texts("web-1", "stdout")) == 200 * len(master.texts("web-1", "stderr"))

    await eventually(whole_runs)
    runs = len(master.texts("web-1", "stderr"))
    assert master.texts("web-1", "stdout") == once * runs
    assert set(master.texts("web-1", "stderr")) == {"last"}


@pytest.mark.usefixtures("node")
async def test_the_last_words_before_removal_arrive(master: Master, engine: Engine) -> None:
    script = "trap 'echo goodbye; exit 0' TERM; echo hello; sleep 100000 & wait"
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script]})
    master.assign(wanted)
    await master.running(wanted)
    await arrived(master, "web-1", ["hello"])
    master.withdraw(wanted.instance_id)
    await arrived(master, "web-1", ["hello", "goodbye"])


@pytest.mark.usefixtures("node")
async def test_long_lines_and_odd_bytes(master: Master) -> None:
    script = r"head -c 40000 /dev/zero | tr '\0' x; echo; printf 'a\377b\n'; printf 'no end'; exec sleep 1000"
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
    master.assign(wanted)
    await arrived(master, "web-1", ["x" * 40000, "a\ufffdb"])
    stopped = assignment(pod={"image": IMAGE, "stop_grace_period": 0}, desired_state="stopped", deploy_rev="3")
    master.assign(stopped)
    await arrived(master, "web-1", ["x" * 40000, "a\ufffdb", "no end"])


@pytest.mark.usefixtures("node")
async def test_marked_containers_are_skipped(master: Master) -> None:
    quiet = assignment(
        1,
        pod={
            "image": IMAGE,
            "cmd": ["sh", "-c", "echo quiet; exec sleep 1000"],
            "labels": {"io.kontena.container.skip_logs": "1"},
            "stop_grace_period": 0,
        },
    )
    loud = assignment(
        2, pod={"image": IMAGE, "cmd": ["sh", "-c", "echo loud; exec sleep 1000"], "stop_grace_period": 0}
    )
    master.assign(quiet)
    await master.running(quiet)
    master.assign(loud)
    await arrived(master, "web-2", ["loud"])
    assert master.texts("web-1") == []


@pytest.mark.usefixtures("node")
async def test_a_cut_stream_resumes_without_loss_or_duplicates(master: Master) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; exec sleep 1000"
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
    master.confirms = False
    master.assign(wanted)
    await master.running(wanted)

    async def pushing() -> bool:
        return master.pushes > 0

    await eventually(pushing)
    master.cut("PushLogs")
    master.confirms = True
    await arrived(master, "web-1", [f"line {i}" for i in range(1, 3001)])


async def test_a_killed_agent_resumes_without_loss_or_duplicates(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; while [ ! -e /go ]; do sleep 0.05; done"
    script += "; while [ $i -lt 4000 ]; do i=$((i+1)); echo line $i; done; exec sleep 1000"
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    await arrived(master, "web-1", [f"line {i}" for i in range(1, 2001)])

    newest = master.lines[-1].time.ToNanoseconds()

    async def remembered() -> bool:
        file = tmp_path / "state" / "logs.json"
        return file.exists() and str(newest) in file.read_text()

    await eventually(remembered)
    agent_process.kill()
    command = {"Cmd": ["touch", "/go"]}
    execution = engine.request("POST", "/containers/web-1/exec", command)["Id"]
    engine.request("POST", f"/exec/{execution}/start", {"Detach": True})
    agent_process.start()
    await arrived(master, "web-1", [f"line {i}" for i in range(1, 4001)])


@pytest.mark.parametrize("lines", [8_000, pytest.param(50_000, marks=pytest.mark.heavy)])
async def test_a_flood_that_the_master_does_not_take_waits_in_the_engine_and_not_in_memory(
    master: Master, engine: Engine, agent_process: AgentProcess, lines: int
) -> None:
    # Of 1000 characters each. Only the larger flood, which runs alone, is more than what memory grows by anyway.
    script = f"yes $(head -c 993 /dev/zero | tr '\\0' x) | head -n {lines} | nl -w 6 -s :; exec sleep 1000"
    measured = lines > 40_000
    wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
    agent_process.start()

    async def attached() -> bool:
        return master.attached > 0

    await eventually(attached)
    before = agent_process.memory()
    master.confirms = False
    master.assign(wanted)
    await master.running(wanted)

    async def written() -> bool:
        shown = engine.tail("web-1", 1)
        return f"{lines}:".encode() in shown

    await eventually(written, within=90)
    assert master.pushes <= UNCONFIRMED
    assert not measured or agent_process.memory() - before < 40_000_000
    master.confirms = True
    master.cut("PushLogs")

    async def arrived_all() -> bool:
        return len(master.lines) >= lines

    await eventually(arrived_all, within=150)
    assert [int(text.partition(":")[0]) for text in master.texts("web-1")] == list(range(1, lines + 1))
    assert not measured or agent_process.memory() - before < 60_000_000


@pytest.mark.usefixtures("node")
async def test_a_log_that_the_engine_rotates_arrives_whole(master: Master, tmp_path: Path) -> None:
    # Some 800 KB in files of 200 KB, all of which the engine keeps. It loses what it writes when it begins two files
    # before it has read the one before, so each piece, of less than a file, is written when the last one has arrived.
    pieces, size, go = 5, 1000, tmp_path / "go"
    go.mkdir()
    script = f"for n in $(seq 0 {pieces - 1}); do until [ -e /go/$n ]; do sleep 0.1; done; "
    script += f"seq $((n*{size})) $((n*{size}+{size - 1})) | sed 's/$/ is a line of a log that is in many files, as it "
    script += "is very long, and each of them is full soon/'; done; exec sleep 1000"
    pod = {"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0, "log_driver": "json-file"}
    pod |= {"volumes": [{"bind_mount": str(go), "path": "/go"}]}
    wanted = assignment(pod={**pod, "log_opts": {"max-size": "200k", "max-file": "10"}})
    master.assign(wanted)
    await master.running(wanted)
    for piece in range(pieces):
        (go / str(piece)).touch()

        async def complete(count: int = (piece + 1) * size) -> bool:
            found = len(master.texts("web-1"))
            assert found >= count, found
            return True

        await eventually(complete)
    assert [int(text.split()[0]) for text in master.texts("web-1")] == list(range(pieces * size))


async def test_a_flood_is_cut_to_the_limit_and_the_loss_is_counted_in_the_log(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    limits = {"log_lines_per_second": 100, "log_lines_at_once": 1000}
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host, **limits)
    script = "yes | head -n 50000; while :; do sleep 1; echo calm; done"
    async with running_agent(chosen):
        wanted = assignment(pod={"image": IMAGE, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
        master.assign(wanted)

        async def calm() -> bool:
            return "calm" in master.texts("web-1", "stdout")

        await eventually(calm, within=60)
        kept = master.texts("web-1", "stdout").count("y")
        words = master.texts("web-1", "stderr")
    assert 1000 <= kept < 20_000
    assert all(text.startswith("kontena: ") for text in words)
    dropped = sum(int(text.split()[1]) for text in words)
    # Some of the calm lines too, one per second.
    assert 50_000 - kept <= dropped <= 50_000 - kept + 150
