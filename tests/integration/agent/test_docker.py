"""The agent on a real Docker Engine: the life of an instance."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import SLEEP, assignment, gone, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import NODE_ID, Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.docker


@pytest.mark.usefixtures("node")
async def test_runs_a_container_with_environment_labels_and_a_published_port(master: Master, engine: Engine) -> None:
    port = free_port()
    wanted = assignment(
        pod={
            "cmd": ["sh", "-c", "echo $GREETING-$PASSWORD > /www/index.html; exec httpd -f -p 80 -h /www"],
            "env": ["GREETING=hello"],
            "labels": {"io.kontena.service.name": "web"},
            "ports": [{"ip": "127.0.0.1", "node_port": port, "container_port": 80, "protocol": "tcp"}],
            "wait_for_port": 80,
        },
        secrets=[pb.PodSecret(name="PASSWORD", type="env", value="open sesame")],
    )
    master.assign(wanted)
    status = await master.running(wanted)
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/")
    shown = engine.inspect("web-1")
    assert answer.text == "hello-open sesame\n"
    assert shown["Id"] == status.container_id
    assert status.HasField("started_at")
    assert shown["Config"]["Hostname"] == "web-1"
    assert shown["HostConfig"]["RestartPolicy"]["Name"] == "no"
    labels = shown["Config"]["Labels"]
    assert labels["io.kontena.node.id"] == NODE_ID
    assert labels["io.kontena.service.id"] == wanted.service_id
    assert labels["io.kontena.service.name"] == "web"


@pytest.mark.usefixtures("node")
async def test_a_deploy_without_change_keeps_the_container(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    again = redeployed(wanted)
    master.assign(again)
    after = await master.running(again)
    assert (after.container_id, after.started_at) == (before.container_id, before.started_at)


@pytest.mark.usefixtures("node")
async def test_a_newer_revision_replaces_the_container(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    newer = redeployed(wanted, service_revision=2)
    newer.pod.env.append("NEW=1")
    master.assign(newer)
    after = await master.running(newer)
    assert after.container_id != before.container_id
    assert len(engine.containers()) == 1
    assert "NEW=1" in engine.inspect("web-1")["Config"]["Env"]


@pytest.mark.usefixtures("node")
async def test_new_content_under_the_same_tag_replaces_the_container_at_the_next_deploy(
    master: Master, engine: Engine
) -> None:
    tag = "kontena/test-moving:1"
    engine.import_busybox(tag, "old")
    wanted = assignment(pod={"image": tag})
    master.assign(wanted)
    before = await master.running(wanted)
    image = engine.import_busybox(tag, "new")
    again = redeployed(wanted)
    master.assign(again)
    after = await master.running(again)
    assert after.container_id != before.container_id
    assert engine.inspect("web-1")["Image"] == image


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("image", ["kontena/nowhere:1", "127.0.0.1:1/nowhere:1"])
async def test_a_bad_image_is_reported_and_leaves_the_old_container_running(
    master: Master, engine: Engine, image: str
) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    bad = redeployed(wanted, service_revision=2)
    bad.pod.image = image
    master.assign(bad)
    status = await master.status(bad, lambda status: bool(status.error))
    assert f"image {image} cannot be pulled" in status.error
    assert (status.state, status.container_id) == ("running", before.container_id)
    assert engine.inspect(before.container_id)["State"]["Running"]


@pytest.mark.usefixtures("node")
async def test_an_error_of_the_master_is_reported_and_leaves_the_container_alone(
    master: Master, engine: Engine
) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    failed = redeployed(wanted, service_revision=2, error="Secret X does not exist")
    master.assign(failed)
    status = await master.status(failed, lambda status: status.error == "Secret X does not exist")
    assert (status.state, status.container_id) == ("running", before.container_id)


@pytest.mark.usefixtures("node")
async def test_a_taken_port_is_an_error_until_it_is_free(master: Master, engine: Engine) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        wanted = assignment(pod={"ports": [{"ip": "127.0.0.1", "node_port": port, "container_port": 80}]})
        master.assign(wanted)
        status = await master.status(wanted, lambda status: bool(status.error))
        assert "in use" in status.error or "already allocated" in status.error
    await master.running(wanted)
    assert len(engine.containers()) == 1


@pytest.mark.usefixtures("node")
async def test_stop_start_restart_and_remove(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    first = await master.running(wanted)

    stopped = redeployed(wanted, desired_state="stopped")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")
    assert not engine.inspect("web-1")["State"]["Running"]

    started = redeployed(stopped, desired_state="running")
    master.assign(started)
    second = await master.running(started)
    assert second.container_id == first.container_id
    assert second.started_at.ToNanoseconds() > first.started_at.ToNanoseconds()

    restarted = pb.Assignment()
    restarted.CopyFrom(started)
    restarted.restarts = 1
    master.assign(restarted)
    third = await master.status(
        restarted, lambda status: status.started_at.ToNanoseconds() > second.started_at.ToNanoseconds()
    )
    assert (third.state, third.container_id) == ("running", first.container_id)

    master.withdraw(wanted.instance_id)
    await gone(engine, "web-1")


@pytest.mark.usefixtures("node")
async def test_a_crashing_container_is_started_again_after_growing_pauses(master: Master, engine: Engine) -> None:
    wanted = assignment(pod={"cmd": ["sh", "-c", "exit 3"]})
    master.assign(wanted)
    status = await master.status(wanted, lambda status: status.state == "restarting")
    started = status.started_at.ToNanoseconds()
    later = await master.status(
        wanted, lambda status: status.state == "restarting" and status.started_at.ToNanoseconds() > started
    )
    much_later = await master.status(
        wanted,
        lambda status: (
            status.state == "restarting" and status.started_at.ToNanoseconds() > later.started_at.ToNanoseconds()
        ),
    )
    assert much_later.container_id == status.container_id
    pause = much_later.started_at.ToNanoseconds() - later.started_at.ToNanoseconds()
    assert pause > 900_000_000

    stopped = redeployed(wanted, desired_state="stopped")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")


@pytest.mark.usefixtures("node")
async def test_a_killed_container_comes_back(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    engine.request("POST", "/containers/web-1/kill")
    after = await master.status(
        wanted,
        lambda status: (
            status.state == "running" and status.started_at.ToNanoseconds() > before.started_at.ToNanoseconds()
        ),
    )
    assert after.container_id == before.container_id
    engine.request("DELETE", "/containers/web-1?force=1")
    await master.status(wanted, lambda status: status.state == "running" and status.container_id != before.container_id)


@pytest.mark.usefixtures("node")
async def test_stateful_instances_keep_their_data_until_they_are_removed(master: Master, engine: Engine) -> None:
    pod = {
        "stateful": True,
        "volumes": [{"path": "/data"}],
        "cmd": ["sh", "-c", "cat /data/x; echo kept > /data/x; echo written; exec sleep 1000"],
        "stop_grace_period": 0,
    }
    wanted = assignment(pod=pod)
    master.assign(wanted)
    await master.running(wanted)

    async def says(text: str) -> bool:
        return text in master.texts("web-1")

    await eventually(lambda: says("written"))
    newer = redeployed(wanted, service_revision=2)
    master.assign(newer)
    await master.running(newer)
    await eventually(lambda: says("kept"))
    assert len(engine.containers()) == 1
    master.withdraw(wanted.instance_id)

    async def removed() -> bool:
        return not engine.containers() and not engine.volumes()

    await eventually(removed)


@pytest.mark.usefixtures("node")
async def test_a_port_that_never_opens_is_an_error_once_the_container_stops(master: Master, engine: Engine) -> None:
    wanted = assignment(pod={"cmd": ["sh", "-c", "sleep 0.5; exit 7"], "wait_for_port": 80})
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert "exit code 7 before port 80" in status.error
    assert all(status.state != "running" for status in master.history)


@pytest.mark.usefixtures("node")
async def test_foreign_containers_are_left_alone(master: Master, engine: Engine) -> None:
    other_node = {"io.kontena.node.id": "e" * 24, "io.kontena.container.type": "container"}
    for name, labels in (("web-1", {}), ("other-1", other_node)):
        body = {"Image": IMAGE, "Cmd": SLEEP, "Labels": labels}
        engine.request("POST", f"/containers/create?name={name}", body)
        engine.request("POST", f"/containers/{name}/start")
    wanted = assignment()
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert "the name web-1 is taken" in status.error
    assert status.state == "missing"
    master.withdraw(wanted.instance_id)
    master.cut("Attach")
    fresh = assignment(2)
    master.assign(fresh)
    await master.running(fresh)
    assert engine.inspect("web-1")["State"]["Running"]
    assert engine.inspect("other-1")["State"]["Running"]


async def test_containers_of_this_node_that_are_not_assigned_are_removed(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host)
    kept, left = assignment(1), assignment(2)
    master.assigned = {item.instance_id: item for item in (kept, left)}
    async with running_agent(chosen):
        before = await master.running(kept)
        await master.running(left)
    del master.assigned[left.instance_id]
    async with running_agent(chosen):
        await gone(engine, "web-2")
    shown = engine.inspect("web-1")
    assert (shown["Id"], shown["State"]["Running"]) == (before.container_id, True)


async def test_an_engine_restart_is_survived_and_nothing_false_is_reported(
    master: Master, tmp_path: Path, shared_engine: Engine
) -> None:
    engine = shared_engine
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host)
    wanted = assignment()
    master.assigned[wanted.instance_id] = wanted
    async with running_agent(chosen):
        before = await master.running(wanted)
        await asyncio.to_thread(engine.halt)
        await asyncio.to_thread(engine.launch)
        await master.status(
            wanted,
            lambda status: (
                status.state == "running" and status.started_at.ToNanoseconds() > before.started_at.ToNanoseconds()
            ),
        )
    assert not [status for status in master.history if status.error or status.state == "missing"]
    engine.remove_containers()


async def test_containers_that_outlive_their_engine_are_not_touched_when_it_is_back(
    master: Master, tmp_path: Path, shared_engine: Engine
) -> None:
    engine = shared_engine
    await asyncio.to_thread(engine.halt)
    await asyncio.to_thread(engine.launch, "--live-restore")
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host)
    kept, next_one = assignment(1), assignment(2)
    master.assigned[kept.instance_id] = kept
    try:
        async with running_agent(chosen):
            before = await master.running(kept)
            await asyncio.to_thread(engine.halt)
            await asyncio.to_thread(engine.launch, "--live-restore")
            master.assign(next_one)
            await master.running(next_one)
        state = engine.inspect("web-1")["State"]
        assert state["Running"]
        assert {
            status.started_at.ToNanoseconds() for status in master.history if status.instance_id == kept.instance_id
        } == {before.started_at.ToNanoseconds()}
        assert {(status.state, status.error) for status in master.history} == {("running", "")}
    finally:
        engine.remove_containers()
        await asyncio.to_thread(engine.halt)
        await asyncio.to_thread(engine.launch)
