"""Images from a real registry, with and without a login."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import SLEEP, assignment, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.registry import PASSWORD, USER, Registry

pytestmark = pytest.mark.docker


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry", login=False) as server:
        yield server


@pytest.fixture
def closed_registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "closed", login=True) as server:
        yield server


def marked(image: str) -> pb.Assignment:
    """Says which image it was made of."""
    return assignment(pod={"image": image, "cmd": ["sh", "-c", "cat /etc/marker; " + SLEEP[2]]})


@pytest.mark.usefixtures("node")
async def test_a_deploy_takes_what_the_tag_means_now(master: Master, engine: Engine, registry: Registry) -> None:
    image = registry.push(engine, "web:1", "old\n")
    wanted = marked(image)
    master.assign(wanted)
    before = await master.running(wanted)
    same = redeployed(wanted)
    master.assign(same)
    assert (await master.running(same)).container_id == before.container_id, "the same content changes nothing"
    old_id = engine.inspect("web-1")["Image"]
    registry.push(engine, "web:1", "new\n")
    again = redeployed(same)
    master.assign(again)
    after = await master.running(again)
    assert after.container_id != before.container_id
    assert engine.inspect("web-1")["Image"] != old_id
    registry.stop()
    newest = redeployed(again, service_revision=2)
    master.assign(newest)
    third = await master.running(newest)
    assert third.container_id != after.container_id, "without the registry, the copy of the node serves"


async def test_images_that_were_pulled_go_some_time_after_their_last_container_and_others_stay(
    master: Master, engine: Engine, registry: Registry, tmp_path: Path
) -> None:
    def images() -> set[str]:
        return {item["Id"] for item in engine.request("GET", "/images/json")}

    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host, image_keep_seconds=0.5)
    local = assignment(2)
    tag = registry.push(engine, "web:2", "first\n")
    wanted = marked(tag)
    master.assigned = {item.instance_id: item for item in (wanted, local)}
    async with running_agent(chosen):
        await master.running(wanted)
        await master.running(local)
        first = engine.inspect("web-1")["Image"]
        registry.push(engine, "web:2", "second\n")
        again = redeployed(wanted)
        master.assign(again)
        await master.running(again)
        second = engine.inspect("web-1")["Image"]
        master.withdraw(local.instance_id)

        async def old_one_is_gone() -> bool:
            return first not in images()

        await eventually(old_one_is_gone)
        assert {second, engine.image_id(IMAGE)} <= images()
    # The next agent knows what the last one has pulled.
    del master.assigned[wanted.instance_id]
    async with running_agent(chosen):

        async def new_one_is_gone() -> bool:
            return second not in images()

        await eventually(new_one_is_gone)
        assert engine.image_id(IMAGE) in images()


@pytest.mark.usefixtures("node")
async def test_a_login_is_used_and_without_one_the_deploy_says_why(
    master: Master, engine: Engine, closed_registry: Registry
) -> None:
    image = closed_registry.push(engine, "private:1", "secret\n")
    wanted = marked(image)
    master.assign(wanted)
    refused = await master.status(wanted, lambda status: bool(status.error))
    assert f"image {image} cannot be pulled" in refused.error
    assert "no basic auth credentials" in refused.error or "unauthorized" in refused.error
    wrong = redeployed(wanted)
    wrong.pod.image_credentials.CopyFrom(pb.ImageCredentials(username=USER, password="wrong"))
    master.assign(wrong)
    refused = await master.status(wrong, lambda status: bool(status.error))
    assert "wrong" not in refused.error
    right = redeployed(wrong)
    right.pod.image_credentials.password = PASSWORD
    master.assign(right)
    status = await master.running(right)
    assert PASSWORD not in str(engine.inspect(status.container_id))
