"""Deploys of several services that are stepped together."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_spec import Port
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.loops.stacks import StackLoop
from services.deploy_svc.store import instances, tables
from services.kernel.listen import Listener
from tests.integration.deploy_svc.engine_fixtures import Engine, counted, obey
from tests.integration.deploy_svc.stack_rest import StackRest, service
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2


async def test_services_that_wait_together_take_as_many_statements_as_one(world: Engine) -> None:
    loop = await world.lone_loop()
    counts = {}
    for number in (1, 2, 12):
        services = [await world.service(f"s{number}-{each}") for each in range(number)]
        # The first time, and once more with nothing changed.
        counts[number] = [len(found) for turn in (1, 2) for found in await _deployed(world, loop, services, turn)]
    # Several instances are locked in order before they are written, which one alone does not need.
    assert counts[2] == counts[12]
    assert [after - before for before, after in zip(counts[1], counts[2], strict=True)] == [0, 1, 1, 1]
    assert max(counts[12]) <= 17


async def _deployed(world: Engine, loop: RolloutLoop, services: Sequence[str], turn: int) -> list[list[str]]:
    """The statements of the step that places, and of the one that ends."""
    deploys = {service_id: await world.deploy(service_id) for service_id in services}
    with counted(world) as placing:
        assert await loop.step(*services) == ()
    await _report(world, services, turn)
    with counted(world) as ending:
        assert await loop.step(*services) == ()
    for service_id, deploy_id in deploys.items():
        assert (await world.result(service_id, deploy_id)).state == "success"
    return [placing, ending]


async def _report(world: Engine, services: Sequence[str], sequence: int) -> None:
    """What nodes say that run what they were told to."""
    for service_id in services:
        [item] = await world.instances(service_id)
        status = InstanceStatus(item.id, item.deploy_rev, "running", container_id=f"c-{item.id}")
        async with world.db.transaction() as tx:
            assert await instances.store_report(tx, str(item.node_id), 1, sequence, [status]) == [service_id]


async def test_one_that_cannot_be_stepped_keeps_no_other_from_its_end(world: Engine) -> None:
    broken, *others = [await world.service(f"s{number}") for number in range(4)]
    async with world.db.transaction() as tx:
        spec = tables.services.c.spec
        strange = {"strategy": "no such strategy"}
        await tx.execute(
            tables.services.update()
            .where(tables.services.c.id == broken)
            .values(spec=spec.concat(sa.cast(strange, spec.type)))
        )
    deploys = {service_id: await world.deploy(service_id) for service_id in (broken, *others)}
    replica = await world.start_replica()
    for node in (NODE_1, NODE_2):
        world.attach(replica, node, behave=obey)
    results = {service_id: await world.finished(service_id, deploy_id) for service_id, deploy_id in deploys.items()}
    assert [results[service_id].state for service_id in others] == ["success"] * 3
    assert results[broken].reason == "Aborted: internal error, see the log of deploy_svc"


async def test_those_that_want_the_same_port_are_placed_one_after_the_other(world: Engine) -> None:
    loop = await world.lone_loop()
    port = (Port(8080, 80),)
    plain = await world.service("plain")
    greedy = [await world.service(f"greedy-{number}", ports=port) for number in range(2)]
    for service_id in (plain, *greedy):
        await world.deploy(service_id)
    assert sorted(await loop.step(plain, *greedy)) == sorted(greedy)
    assert len(await world.instances(plain)) == 1
    for service_id in greedy:
        assert await world.instances(service_id) == []
        assert await loop.step(service_id) == ()
    assert len({(await world.instances(service_id))[0].node_id for service_id in greedy}) == 2


async def test_the_steps_of_a_stack_take_as_many_statements_however_many_services_it_has(
    world: Engine, engine_url: str
) -> None:
    rollout, loop = await world.lone_loop(), StackLoop(world.db, Listener(engine_url, ()), world.directory)
    counts = []
    async with world.replica(role="api") as api:
        stacks = StackRest(api.channel)
        for number in (2, 12):
            await stacks.created(*(service(f"s{each}") for each in range(number)), name=f"of-{number}")
            deploy = (await stacks.deploy(f"g1/of-{number}")).body
            with counted(world) as beginning:
                await loop.step(deploy["id"])
            async with world.db.read() as tx:
                stack = tables.services.c.stack
                query = sa.select(tables.services.c.id).where(stack == f"of-{number}")
                ids = list((await tx.execute(query)).scalars())
            await rollout.step(*ids)
            await _report(world, ids, 1)
            await rollout.step(*ids)
            with counted(world) as ending:
                await loop.step(deploy["id"])
            assert (await stacks.get_deploy(deploy["id"], f"g1/of-{number}")).body["state"] == "success"
            counts.append((len(beginning), len(ending)))
    assert counts[0] == counts[1]
