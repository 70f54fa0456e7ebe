"""When an instance without a port counts as started (docs/adr/0085), on a real engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

FOREGROUND = "an instance has to stay up, so give it a command that stays in the foreground"


def first_word(master: Master, wanted: pb.Assignment) -> pb.InstanceStatus | None:
    """What the agent said first of this rollout: it decides the deploy."""
    told = (item for item in master.history if item.instance_id == wanted.instance_id and item.rev == wanted.deploy_rev)
    return next(told, None)


async def all_told(master: Master, wanted: list[pb.Assignment]) -> list[pb.InstanceStatus]:
    async def told() -> bool:
        return all(first_word(master, item) is not None for item in wanted)

    await eventually(told, within=60.0)
    return [word for item in wanted if (word := first_word(master, item)) is not None]


@pytest.fixture
async def patient_node(master: Master, engine: Engine, tmp_path: Path) -> AsyncIterator[None]:
    """An agent that gives its engine 20 s to notice that a command has ended, however loaded the machine is."""
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host, settle_seconds=20)
    async with running_agent(chosen):
        yield


@pytest.mark.usefixtures("patient_node")
async def test_a_command_that_ends_at_once_is_an_error_each_time(master: Master) -> None:
    ends, at_once = {0: "0", 1: "0", 2: "0", 3: "3"}, 4
    wanted = {
        number: assignment(
            number, pod={"cmd": ["sh", "-c", f"sleep 0.{number % 3}; exit {ends[number % 4]}"], "stop_grace_period": 0}
        )
        for number in range(1, 2 * at_once + 1)
    }
    for first in (1, 1 + at_once):
        some = {number: wanted[number] for number in range(first, first + at_once)}
        master.assign(*some.values())
        for number, word in zip(some, await all_told(master, list(some.values())), strict=True):
            code = ends[number % 4]
            error = f"the container ended by itself with exit code {code} right after its start; "
            error += "its logs tell more" if code == "3" else FOREGROUND
            assert (word.state, word.error) == ("restarting", error)
        master.withdraw(*(item.instance_id for item in some.values()))


@pytest.mark.usefixtures("node")
async def test_what_stays_up_for_the_moment_is_told_once_it_has(master: Master, engine: Engine) -> None:
    # The first start ends when it is told to, the next one never.
    script = "[ -e /end ] && exec sleep 1000; while [ ! -e /end ]; do sleep 0.1; done"
    wanted = [assignment(number, pod={"cmd": ["sh", "-c", script], "stop_grace_period": 0}) for number in range(1, 4)]
    master.assign(*wanted)
    words = await all_told(master, wanted)
    assert {(word.state, word.error) for word in words} == {("running", "")}
    engine.run("exec", "web-1", "touch", "/end")
    later = await master.status(
        wanted[0], lambda status: status.state == "running" and status.started_at != words[0].started_at
    )
    assert later.error == ""


@pytest.mark.usefixtures("node")
async def test_a_correction_is_not_blamed_for_the_container_of_before(master: Master) -> None:
    wanted = [assignment(number, pod={"cmd": ["sh", "-c", "exit 1"], "stop_grace_period": 0}) for number in range(1, 4)]
    master.assign(*wanted)
    await all_told(master, wanted)
    corrected = [redeployed(item, service_revision=2) for item in wanted]
    for item in corrected:
        item.pod.cmd[:] = ["sleep", "1000"]
    master.assign(*corrected)
    words = await all_told(master, corrected)
    assert {(word.state, word.error) for word in words} == {("running", "")}
