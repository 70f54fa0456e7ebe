"""Many deploys at once, with the agents of many nodes: how long until all of them ended."""

import time
from collections.abc import AsyncIterator

import pytest

from services.deploy_svc.domain.service_spec import DeployOpts
from tests.integration.deploy_svc.engine_fixtures import Engine, engine
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

INSTANCES = 3


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        yield found


@pytest.mark.parametrize(("services", "nodes"), [(30, 20), pytest.param(100, 50, marks=pytest.mark.heavy)])
async def test_a_burst_of_deploys_ends_soon(
    world: Engine, capsys: pytest.CaptureFixture[str], services: int, nodes: int
) -> None:
    """Each with three instances, on hollow nodes. How long it took is judged only where nothing else runs."""
    replica = await world.start_replica()
    node_ids = [f"{number:024d}" for number in range(1, nodes + 1)]
    for number, node_id in enumerate(node_ids, 1):
        world.node(node_id, number)
        world.attach(replica, node_id)
    opts = DeployOpts(min_health=0.0)
    ids = [await world.service(f"s{number}", instances=INSTANCES, deploy_opts=opts) for number in range(services)]
    started = time.perf_counter()
    deploys = [(service_id, await world.deploy(service_id)) for service_id in ids]
    requested = time.perf_counter() - started
    results = [await world.finished(*deploy, within=120) for deploy in deploys]
    seconds = time.perf_counter() - started
    assert {result.state for result in results} == {"success"}
    with capsys.disabled():
        print(f"\nburst: {services} deploys requested in {requested:.1f} s, ended after {seconds:.1f} s")  # noqa: T201
    assert seconds < 60 or services < 100
    waits = sorted((r.finished_at - r.created_at).total_seconds() for r in results if r.finished_at)
    with capsys.disabled():
        print(f"deploy latency: median {waits[len(waits) // 2]:.2f} s, longest {waits[-1]:.2f} s")  # noqa: T201


async def test_a_service_of_many_instances_rests_between_its_steps(world: Engine) -> None:
    """What its nodes tell meanwhile is looked at together, and nothing of it is lost."""
    loop = await world.lone_loop()
    world.node("1".zfill(24), 1)
    await eventually(lambda: _known(world))
    many, one = [await world.service(name, instances=count) for name, count in (("many", 60), ("one", 1))]
    for service_id in (many, one):
        await world.deploy(service_id)
        await loop.step(service_id)
    await loop.step(many)
    loop._want([many, one])
    assert many not in loop._free()

    async def both() -> bool:
        return loop._free() == [many, one]

    await eventually(both)


async def _known(world: Engine) -> bool:
    return bool(await world.directory.all())
