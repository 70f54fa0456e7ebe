"""What somebody does to a container by hand is repaired, or told in the state of its instance."""

import contextlib
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, redeployed
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine, EngineError
from tests.support.eventually import eventually

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("node")]

NETWORK = "kontena-main"


@pytest.fixture
async def web(master: Master, node: None) -> pb.Assignment:
    wanted = assignment()
    master.assign(wanted)
    await master.running(wanted)
    return wanted


def aliases(engine: Engine) -> set[str]:
    networks: dict[str, Any] = engine.inspect("web-1")["NetworkSettings"]["Networks"]
    return set((networks.get(NETWORK) or {}).get("Aliases") or ())


def take_off(engine: Engine) -> None:
    engine.request("POST", f"/networks/{NETWORK}/disconnect", {"Container": "web-1"})


def put_back_without_names(engine: Engine) -> None:
    for _ in range(5):
        take_off(engine)
        # The agent may have been faster, and with the names.
        with contextlib.suppress(EngineError):
            engine.request("POST", f"/networks/{NETWORK}/connect", {"Container": "web-1"})
            return


async def test_a_container_taken_off_the_network_is_put_back_with_its_names(
    master: Master, engine: Engine, web: pb.Assignment
) -> None:
    before, shown = aliases(engine), engine.inspect("web-1")
    assert "web-1" in before
    for again in (redeployed(web), None):
        take_off(engine)
        if again is not None:
            master.assign(again)
        else:
            # Without a deploy, the next comparison of all containers finds it.
            master.cut("Attach")

        async def back() -> bool:
            return before <= aliases(engine)

        await eventually(back)
    after = engine.inspect("web-1")
    assert (after["Id"], after["State"]["StartedAt"]) == (shown["Id"], shown["State"]["StartedAt"])


async def test_a_container_put_back_without_its_names_is_told_and_a_deploy_repairs_it(
    master: Master, engine: Engine, web: pb.Assignment
) -> None:
    before = aliases(engine)
    engine.request("POST", "/containers/web-1/pause")
    await master.status(web, lambda status: "paused by hand" in status.error)
    put_back_without_names(engine)
    engine.request("POST", "/containers/web-1/unpause")
    told = await master.status(web, lambda status: "kontena-main by hand, where nobody finds it" in status.error)
    assert told.state == "running"
    again = redeployed(web)
    master.assign(again)
    await master.running(again)
    assert before <= aliases(engine)


async def test_a_renamed_container_gets_its_name_back(master: Master, engine: Engine, web: pb.Assignment) -> None:
    engine.request("POST", "/containers/web-1/rename?name=mine")

    async def back() -> bool:
        return [container["Names"] for container in engine.containers()] == [["/web-1"]]

    await eventually(back)
    assert {item.error for item in master.history} == {""}


async def test_a_restart_policy_of_the_engine_is_taken_away(engine: Engine, web: pb.Assignment) -> None:
    engine.request("POST", "/containers/web-1/update", {"RestartPolicy": {"Name": "always"}})

    async def taken() -> bool:
        return bool(engine.inspect("web-1")["HostConfig"]["RestartPolicy"]["Name"] == "no")

    await eventually(taken)


async def test_a_paused_container_is_not_running_and_a_deploy_lets_it_go_on(
    master: Master, engine: Engine, web: pb.Assignment
) -> None:
    engine.request("POST", "/containers/web-1/pause")
    told = await master.status(web, lambda status: status.state == "stopped")
    assert told.error == "container web-1 was paused by hand; unpause it, or deploy the service"
    engine.request("POST", "/containers/web-1/unpause")
    first = await master.running(web)
    engine.request("POST", "/containers/web-1/pause")
    await master.status(web, lambda status: status.state == "stopped")
    again = redeployed(web)
    master.assign(again)
    after = await master.running(again)
    assert (after.container_id, after.started_at) == (first.container_id, first.started_at)
    assert not engine.inspect("web-1")["State"]["Paused"]


async def test_a_second_container_with_copied_labels_does_not_win(engine: Engine, web: pb.Assignment) -> None:
    real = engine.inspect("web-1")
    copy = {name: real["Config"][name] for name in ("Image", "Cmd", "Labels")}
    made = engine.request("POST", "/containers/create?name=copy", copy)["Id"]
    engine.request("POST", f"/containers/{made}/start")

    async def alone() -> bool:
        return [container["Id"] for container in engine.containers()] == [real["Id"]]

    await eventually(alone)
    assert engine.inspect("web-1")["State"]["StartedAt"] == real["State"]["StartedAt"]
