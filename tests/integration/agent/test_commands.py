"""Mirror, commands and stats of containers on a real engine."""

import asyncio
import json

import pytest

from kontena.deploy.v1 import assignment_pb2 as assignment_pb
from kontena.deploy.v1 import node_command_pb2 as pb
from tests.integration.agent.agent_node import gone
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.container_master import ContainerMaster
from tests.integration.agent.stand_in_master import NODE_ID
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.unit.agent.agent_factories import assignment

pytestmark = pytest.mark.docker

SLEEP = ["sh", "-c", "exec sleep 1000"]


@pytest.fixture
async def web(chief: ContainerMaster, chiefs_node: None) -> str:
    """Engine id of a running container with a secret."""
    wanted = assignment(
        pod={"image": IMAGE, "cmd": SLEEP, "stop_grace_period": 0, "env": ["A=1"], "labels": {"x": "y"}},
        secrets=[assignment_pb.PodSecret(name="PASSWORD", type="env", value="top-secret-value")],
    )
    chief.assign(wanted)
    await chief.running(wanted)
    return (await chief.mirrored("web-1")).container_id


def execute(chief: ContainerMaster, container_id: str, *cmd: str, **more: bool):  # type: ignore[no-untyped-def]
    return chief.ask(exec=pb.ExecCommand(container_id=container_id, cmd=cmd, **more))


async def test_the_mirror_follows_the_engine_and_holds_no_secret(
    chief: ContainerMaster, web: str, engine: Engine
) -> None:
    shown = chief.mirror["web-1"]
    assert list(shown.env)[:1] == ["A=1"]
    assert (shown.image, shown.labels["x"], shown.state.pid > 0) == (IMAGE, "y", True)
    assert shown.network.ip_address
    assert any(entry.startswith("PASSWORD=") for entry in engine.inspect("web-1")["Config"]["Env"])
    engine.request("POST", "/containers/web-1/pause")

    async def paused() -> bool:
        return chief.mirror["web-1"].state.paused

    await eventually(paused)
    engine.request("POST", "/containers/web-1/unpause")
    stopped = assignment(pod={"image": IMAGE}, desired_state="stopped", deploy_rev="3")
    chief.assign(stopped)
    assert (await chief.mirrored("web-1", running=False)).finished_at.seconds > 0
    chief.withdraw(stopped.instance_id)

    async def gone() -> bool:
        return chief.mirror == {}

    await eventually(gone)
    assert b"top-secret-value" not in chief.reported


async def test_inspect_and_top(chief: ContainerMaster, web: str) -> None:
    _, _, event = await chief.ask(inspect=pb.InspectCommand(container_id=web)).outcome()
    shown = json.loads(event.result.json)
    assert (shown["Id"], shown["Name"]) == (web, "/web-1")
    assert "top-secret-value" not in event.result.json
    _, _, event = await chief.ask(top=pb.TopCommand(container_id=web)).outcome()
    assert any("sleep 1000" in str(process) for process in json.loads(event.result.json))


async def test_exec_gives_both_streams_and_the_exit_code(chief: ContainerMaster, web: str) -> None:
    out, err, event = await execute(chief, web, "sh", "-c", "echo out; echo err >&2; exit 7").outcome()
    assert (out, err, event.exit.code) == (b"out\n", b"err\n", 7)


async def test_exec_with_input_until_its_end(chief: ContainerMaster, web: str) -> None:
    asked = execute(chief, web, "cat", stdin=True)
    asked.send(input=pb.ExecInput(data=b"one\n"))
    assert (await asked.next()).output.data == b"one\n"
    asked.send(input=pb.ExecInput(data=b"two\n"))
    asked.send(input=pb.ExecInput(end=True))
    out, _, event = await asked.outcome()
    assert (out, event.exit.code) == (b"two\n", 0)


async def test_input_is_confirmed_once_the_program_has_it(chief: ContainerMaster, web: str) -> None:
    asked = execute(chief, web, "sh", "-c", "read line; wc -c", stdin=True)
    for _ in range(5):
        asked.send(input=pb.ExecInput(data=b"x" * 99 + b"\n"))
    asked.send(input=pb.ExecInput(end=True))
    out, _, _ = await asked.outcome()
    assert (out.strip(), asked.confirmed) == (b"400", 5 * (100 + 256) + 256)


async def test_input_without_measure_ends_the_command(chief: ContainerMaster, web: str) -> None:
    asked = execute(chief, web, "sleep", "1000", stdin=True)
    for _ in range(5000):
        asked.send(input=pb.ExecInput(data=b"x" * 10_000))
    _, _, event = await asked.outcome()
    assert (event.error.kind, "more input" in event.error.message) == ("refused", True)


async def test_exec_with_a_terminal_of_a_size(chief: ContainerMaster, web: str) -> None:
    asked = execute(chief, web, "sh", stdin=True, tty=True)
    asked.send(size=pb.TerminalSize(width=77, height=33))
    # The engine hears of the size a moment after the start.
    asked.send(input=pb.ExecInput(data=b'until stty size | grep "33 77"; do sleep 0.1; done; exit 4\n'))
    out, _, event = await asked.outcome()
    assert b"33 77" in out
    assert event.exit.code == 4


async def test_output_waits_until_it_is_read_and_none_is_lost(chief: ContainerMaster, web: str) -> None:
    size = 3_000_000
    out, _, event = await execute(chief, web, "sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x").outcome()
    assert (len(out), set(out), event.exit.code) == (size, {ord("x")}, 0)


async def test_a_cancelled_command_ends_in_the_container(chief: ContainerMaster, web: str) -> None:
    asked = execute(chief, web, "sleep", "4321")

    async def processes() -> str:
        _, _, event = await chief.ask(top=pb.TopCommand(container_id=web)).outcome()
        return str(event.result.json)

    async def begun() -> bool:
        return "sleep 4321" in await processes()

    await eventually(begun)
    asked.send(cancel=pb.CancelCommand())

    async def ended() -> bool:
        return "sleep 4321" not in await processes()

    await eventually(ended)


async def test_a_command_that_is_cancelled_while_it_starts_ends_in_the_container(
    chief: ContainerMaster, web: str
) -> None:
    """Whatever the engine is about at that moment."""
    for number in range(12):
        asked = execute(chief, web, "sleep", f"{5000 + number}")
        await asyncio.sleep(number * 0.01)
        asked.send(cancel=pb.CancelCommand())

    async def ended() -> bool:
        _, _, event = await chief.ask(top=pb.TopCommand(container_id=web)).outcome()
        return "sleep 50" not in str(event.result.json)

    # Later than anything that was still to start.
    out, _, _ = await execute(chief, web, "echo", "started").outcome()
    assert out == b"started\n"
    await eventually(ended)


async def test_commands_that_are_cancelled_while_they_print_leave_the_others_alone(
    chief: ContainerMaster, web: str
) -> None:
    other = execute(chief, web, "cat", stdin=True)
    for _ in range(3):
        printing = [execute(chief, web, "yes") for _ in range(8)]
        for asked in printing:
            await asked.next()
            asked.send(cancel=pb.CancelCommand())
    other.send(input=pb.ExecInput(data=b"still here\n"))
    other.send(input=pb.ExecInput(end=True))
    out, _, event = await other.outcome()
    assert (out, event.exit.code, chief.attached_commands) == (b"still here\n", 0, 1)


async def test_what_the_engine_refuses_is_told(chief: ContainerMaster, web: str, engine: Engine) -> None:
    _, _, event = await execute(chief, "0" * 64, "ls").outcome()
    assert event.error.kind == "not_found"
    _, _, event = await execute(chief, web, "/no/such/program").outcome()
    assert event.error.kind == "refused" or event.exit.code in (126, 127)
    made = engine.request("POST", "/containers/create?name=foreign", {"Image": IMAGE, "Cmd": SLEEP})
    _, _, event = await chief.ask(inspect=pb.InspectCommand(container_id=made["Id"])).outcome()
    assert event.error.kind == "not_found", "containers of others are not shown"


async def test_a_command_of_a_newer_master_is_refused_and_the_next_one_answered(
    chief: ContainerMaster, web: str
) -> None:
    _, _, event = await chief.ask_of_the_future().outcome()
    assert (event.error.kind, "does not know this command" in event.error.message) == ("refused", True)
    out, _, _ = await execute(chief, web, "echo", "still here").outcome()
    assert out == b"still here\n"


async def test_samples_of_running_containers(chief: ContainerMaster, web: str) -> None:
    async def sampled() -> bool:
        return web in chief.samples

    await eventually(sampled)
    found = chief.samples[web]
    assert found.memory.usage > 0
    assert found.memory.limit > 0
    assert found.cpu.num_cores >= 1
    assert found.network.external.interfaces or found.network.internal.interfaces
    assert found.time.seconds > 0


async def test_a_new_stream_begins_with_everything(chief: ContainerMaster, web: str) -> None:
    before = chief.snapshots
    await chief.stop()
    chief.mirror.clear()
    await chief.start()
    await chief.mirrored("web-1")
    assert chief.snapshots > before


async def test_a_container_that_goes_while_everything_is_told_anew_leaves_no_ghost(
    chief: ContainerMaster, web: str, engine: Engine
) -> None:
    before = chief.snapshots
    await chief.stop()
    chief.takes_snapshots.clear()
    await chief.start()

    async def told_anew() -> bool:
        return chief.snapshots > before

    await eventually(told_anew)
    chief.withdraw(assignment().instance_id)
    await gone(engine, "web-1")
    chief.takes_snapshots.set()

    async def forgotten() -> bool:
        return chief.mirror == {}

    await eventually(forgotten)


async def test_a_volume_is_removed_unless_it_is_in_use_or_of_somebody_else(
    chief: ContainerMaster, web: str, engine: Engine
) -> None:
    ours = {"io.kontena.node.id": NODE_ID}
    paused = assignment(
        2, pod={"image": IMAGE, "volumes": [{"name": "paused", "path": "/data"}]}, desired_state="stopped"
    )
    chief.assign(paused)
    await chief.status(paused, lambda status: status.state == "missing")
    for name, tags in (("idle", ours), ("used", ours), ("paused", ours), ("foreign", {})):
        engine.request("POST", "/volumes/create", {"Name": name, "Labels": tags})
    holder = {"Image": IMAGE, "Cmd": SLEEP, "HostConfig": {"Binds": ["used:/data"]}}
    engine.request("POST", "/containers/create?name=holder", holder)

    async def answered(name: str) -> str:
        _, _, event = await chief.ask(remove_volume=pb.RemoveVolumeCommand(name=name)).outcome()
        return str(event.WhichOneof("message"))

    assert [await answered(name) for name in ("idle", "idle", "foreign", "used", "paused")] == [
        *["result"] * 3,
        *["error"] * 2,
    ]
    left = {volume["Name"] for volume in engine.request("GET", "/volumes")["Volumes"] or []}
    assert left & {"idle", "used", "paused", "foreign"} == {"used", "paused", "foreign"}
    engine.request("DELETE", "/containers/holder")
    assert await answered("used") == "result"
    engine.request("DELETE", "/volumes/foreign")
    chief.withdraw(paused.instance_id)

    async def let_go() -> bool:
        return await answered("paused") == "result"

    await eventually(let_go)
