"""Data of stateful instances on a real engine: clean-up jobs, removed volumes, data containers of earlier releases."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, gone, redeployed
from tests.integration.agent.agent_process import AgentProcess
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import NODE_ID, Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

# Says what it found once it has left something to find.
KEEPER = [
    *("sh", "-c"),
    "was=$(cat /data/x 2>/dev/null || echo nothing); echo something > /data/x; echo $was; exec sleep 1000",
]
POD = {"stateful": True, "volumes": [{"path": "/data"}], "cmd": KEEPER, "stop_grace_period": 0}
READ = "until [ -s /data/x ]; do sleep 0.1; done; cat /data/x; exec sleep 1000"
PRUNES = ("container prune", "system prune", "system prune --volumes", "volume prune")


async def found(master: Master, *expected: str) -> None:
    """Returns once the containers of the instance have found these things, one after the other."""

    async def said() -> bool:
        assert master.texts("web-1", "stdout") == list(expected), master.texts("web-1", "stdout")
        return True

    await eventually(said)


async def deployed(master: Master, **changed: Any) -> pb.Assignment:
    """A stateful instance that has left something."""
    wanted = assignment(pod={**POD, **changed})
    master.assign(wanted)
    await master.running(wanted)
    await found(master, "nothing")
    return wanted


async def stopped(master: Master, wanted: pb.Assignment) -> pb.Assignment:
    order = redeployed(wanted, desired_state="stopped")
    master.assign(order)
    await master.status(order, lambda status: status.state == "stopped")
    return order


@pytest.mark.usefixtures("node")
async def test_data_of_a_running_instance_outlives_every_clean_up(master: Master, engine: Engine) -> None:
    wanted = await deployed(master)
    for prune in PRUNES:
        engine.run(*prune.split(), "--force")
    newer = redeployed(wanted, service_revision=2)
    master.assign(newer)
    await master.running(newer)
    await found(master, "nothing", "something")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("prune", PRUNES)
async def test_data_of_a_stopped_instance_is_kept_or_missed_aloud(master: Master, engine: Engine, prune: str) -> None:
    wanted = await deployed(master)
    order = await stopped(master, wanted)
    (volume,) = engine.volumes()
    engine.run(*prune.split(), "--force")
    # Which commands remove named volumes depends on the release of the engine.
    survived = volume in engine.volumes()
    assert survived or "volume" in prune
    started = redeployed(order, desired_state="running")
    master.assign(started)
    if survived:
        await master.running(started)
        await found(master, "nothing", "something")
    else:
        status = await master.status(started, lambda status: bool(status.error))
        assert f"the data of this instance is gone from the node: the volume {volume} (/data)" in status.error
        assert status.state == "missing"
        assert engine.containers() == []
        assert engine.volumes() == []


@pytest.mark.usefixtures("node")
async def test_a_removed_volume_is_an_error_until_somebody_brings_it_back(master: Master, engine: Engine) -> None:
    wanted = await deployed(master)
    order = await stopped(master, wanted)
    (volume,) = engine.volumes()
    engine.run("rm", "web-1")
    engine.run("volume", "rm", volume)
    newer = redeployed(order, desired_state="running", service_revision=2)
    master.assign(newer)
    status = await master.status(newer, lambda status: bool(status.error))
    command = re.search(r"`(docker volume create \S+)`", status.error)
    assert command, status.error
    # The way to begin with nothing is in the words of the error.
    engine.run(*command[1].split()[1:])
    await master.running(newer)
    await found(master, "nothing", "nothing")
    master.withdraw(wanted.instance_id)

    async def removed() -> bool:
        return not engine.containers() and not engine.volumes()

    await eventually(removed)


async def test_the_master_remembers_data_for_an_agent_that_forgot_everything(
    master: Master, engine: Engine, agent_process: AgentProcess, tmp_path: Path
) -> None:
    wanted = assignment(pod=POD)
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    told = await master.status(wanted, lambda status: len(status.data_volumes) == 1)
    (volume,) = engine.volumes()
    assert [(item.path, item.name) for item in told.data_volumes] == [("/data", volume)]
    agent_process.kill()
    shutil.rmtree(tmp_path / "state")
    engine.remove_containers()
    wanted.data_volumes.extend(told.data_volumes)
    master.statuses.clear()
    # What is there is used, whoever remembers it.
    agent_process.start()
    await master.running(wanted)
    agent_process.kill()
    shutil.rmtree(tmp_path / "state")
    engine.remove_containers()
    engine.remove_volumes()
    master.statuses.clear()
    agent_process.start()
    status = await master.status(wanted, lambda status: bool(status.error))
    assert f"the volume {volume} (/data) was removed" in status.error
    assert engine.volumes() == []


@pytest.mark.usefixtures("node")
async def test_volumes_that_the_image_declares_keep_data_too_and_begin_with_what_the_image_has(
    master: Master, engine: Engine
) -> None:
    engine.request("POST", "/containers/create?name=base", {"Image": IMAGE, "Cmd": ["sh", "-c", "echo given > /www/x"]})
    engine.request("POST", "/containers/base/start")
    engine.request("POST", "/containers/base/wait")
    config = {"Image": IMAGE, "Volumes": {"/www": {}}}
    engine.request("POST", "/commit?container=base&repo=kontena/test-declares&tag=1", config)
    engine.request("DELETE", "/containers/base")
    script = "was=$(cat /www/x); echo changed > /www/x; echo $was; exec sleep 1000"
    pod = {"image": "kontena/test-declares:1", "stateful": True, "cmd": ["sh", "-c", script], "stop_grace_period": 0}
    wanted = assignment(pod=pod)
    master.assign(wanted)
    await master.running(wanted)
    await found(master, "given")
    newer = redeployed(wanted, service_revision=2)
    master.assign(newer)
    await master.running(newer)
    await found(master, "given", "changed")


def make_as_earlier_releases_did(engine: Engine, wanted: pb.Assignment) -> str:
    """A data container and a running container that takes its volumes; returns the name of the volume."""
    name = wanted.pod.container_name
    tags = {
        "io.kontena.service.id": wanted.service_id,
        "io.kontena.service.instance_number": "1",
        "io.kontena.instance.id": wanted.instance_id,
        "io.kontena.node.id": NODE_ID,
        "io.kontena.container.deploy_rev": wanted.deploy_rev,
        "io.kontena.container.service_revision": "1",
        "io.kontena.container.pod": name,
        "io.kontena.container.stop_grace_period": "0",
    }
    own = {"io.kontena.container.type": "volume", "io.kontena.container.name": f"{name}-volumes"}
    body: dict[str, Any] = {"Image": IMAGE, "Labels": {**tags, **own}, "Volumes": {"/data": {}}, "Entrypoint": ["sh"]}
    engine.request("POST", f"/containers/create?name={name}-volumes", body)
    own = {"io.kontena.container.type": "container", "io.kontena.container.name": name}
    body = {
        "Image": IMAGE,
        "Labels": {**tags, **own},
        "Cmd": KEEPER,
        "HostConfig": {"VolumesFrom": [f"{name}-volumes"]},
    }
    engine.request("POST", f"/containers/create?name={name}", body)
    engine.request("POST", f"/containers/{name}/start")
    (volume,) = engine.volumes()
    return volume


@pytest.mark.parametrize("prune", [False, True])
async def test_the_data_container_of_an_earlier_release_is_taken_over(
    master: Master, engine: Engine, agent_process: AgentProcess, prune: bool
) -> None:
    wanted = assignment(pod=POD)
    volume = make_as_earlier_releases_did(engine, wanted)
    before = engine.inspect("web-1")["Id"]
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    status = await master.status(wanted, lambda status: len(status.data_volumes) == 1)
    assert (status.container_id, status.data_volumes[0].name) == (before, volume)
    order = await stopped(master, wanted)
    if prune:
        engine.run("container", "prune", "--force")
    newer = redeployed(order, desired_state="running", service_revision=2)
    master.assign(newer)
    await master.running(newer)
    await found(master, "nothing", "something")
    assert engine.volumes() == [volume]
    assert [item["Names"] for item in engine.containers()] == [["/web-1"]]
    master.withdraw(wanted.instance_id)

    async def removed() -> bool:
        return not engine.containers() and not engine.volumes()

    await eventually(removed)


async def test_a_service_that_mounts_the_volumes_of_another_one_never_takes_them_away(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    owner = assignment(service="db", pod=POD)
    make_as_earlier_releases_did(engine, owner)
    master.assigned[owner.instance_id] = owner
    agent_process.start()
    await master.running(owner)
    reader = assignment(pod={"volumes_from": ["db-%s"], "cmd": ["sh", "-c", READ]})
    master.assign(reader)
    await master.running(reader)
    await found(master, "something")
    (volume,) = engine.volumes()
    await stopped(master, owner)
    engine.run("container", "prune", "--force")
    # Now the reader's container is the last one that has the volume.
    master.withdraw(reader.instance_id)
    await gone(engine, "web-1")
    assert engine.volumes() == [volume]


@pytest.mark.usefixtures("node")
async def test_two_services_of_one_name_one_after_the_other_share_no_data(master: Master, engine: Engine) -> None:
    wanted = await deployed(master)
    master.withdraw(wanted.instance_id)
    namesake = assignment(service="web", pod=POD, service_id="77" * 12, instance_id="88" * 12)
    master.assign(namesake)
    await master.running(namesake)
    await found(master, "nothing", "nothing")
