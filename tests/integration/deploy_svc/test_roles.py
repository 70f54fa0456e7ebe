"""deploy_svc as `api`, as `engine` and as both: who answers, who carries out deploys, and who ends with whom."""

import signal
from functools import partial

import psutil
import pytest

from tests.integration.deploy_svc.engine_fixtures import Engine
from tests.integration.deploy_svc.processes import Served, process
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow


async def test_an_api_answers_and_leaves_deploys_to_an_engine(world: Engine, engine_url: str) -> None:
    around = world.around.address
    async with process(engine_url, around, "api") as api:
        for node in (NODE_1, NODE_2):
            world.attach(api, node)
        rest = Rest(api.channel, "member")
        assert (await rest.created("asked"))["id"] == "g1/null/asked"
        service = await world.service(instances=3)
        deploy = await world.deploy(service)
        assert not api.children()
        assert not await world.started(service, deploy)
        async with process(engine_url, around, "engine"):
            assert (await world.finished(service, deploy)).state == "success"
        later = await world.deploy(service)
        assert (await rest.get("g1/stack/web")).body["instance_counts"]["running"] == 3
        assert not await world.started(service, later)


async def test_both_is_an_api_with_an_engine_beside_it_that_ends_with_it(world: Engine, engine_url: str) -> None:
    async with process(engine_url, world.around.address, "both") as served:
        for node in (NODE_1, NODE_2):
            world.attach(served, node)
        service = await world.service(instances=2)
        assert (await world.finished(service, await world.deploy(service))).state == "success"
        [engine] = served.children()
        engine.kill()
        assert (await world.finished(service, await world.deploy(service))).state == "success"
        [again] = served.children()
        assert again.pid != engine.pid
        assert (await Rest(served.channel, "member").list()).status == 200
        served.process.send_signal(signal.SIGTERM)
        await eventually(partial(_gone, again), message="the engine ends")


async def test_an_engine_ends_with_the_process_it_is_beside_of_however_that_ends(
    world: Engine, engine_url: str
) -> None:
    async with process(engine_url, world.around.address, "both") as served:
        [engine] = await eventually(partial(_children, served), message="an engine runs")
        served.process.send_signal(signal.SIGKILL)
        await eventually(partial(_gone, engine), message="the engine ends")


async def _children(served: Served) -> list[psutil.Process]:
    return served.children()


async def _gone(process: psutil.Process) -> bool:
    return not process.is_running()
