"""Scaling: what it leaves alone, in rows, statements and on nodes."""

from dataclasses import replace

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_spec import DeployOpts, SecretRef
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.store import good_specs, instances
from services.deploy_svc.usecases.redeploys import redeploy_users
from services.kernel.ids import new_id
from tests.integration.deploy_svc.engine_fixtures import Engine, counted, obey
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually


async def test_nodes_hear_of_what_is_added_or_taken_away_and_of_nothing_else(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, NODE_1), world.attach(replica, NODE_2)]
    service_id = await world.service(instances=2)
    await world.finished(service_id, await world.deploy(service_id))
    before = await world.instances(service_id)
    up = await world.finished(service_id, await world.scale(service_id, 3))
    assert (up.state, up.total) == ("success", 3)
    assert [(item.instance_number, item.state) for item in up.instance_deploys] == [
        (1, "success"),
        (2, "success"),
        (3, "success"),
    ]
    *stayed, added = await world.instances(service_id)
    assert stayed == before
    assert (added.deploy_rev, added.rev) == (up.deploy_rev, up.deploy_rev)
    down = await world.finished(service_id, await world.scale(service_id, 1))
    assert (down.state, [item.instance_number for item in down.instance_deploys]) == ("success", [1])
    assert await world.instances(service_id) == before[:1]
    assert str(down.deploy_rev) > str(up.deploy_rev)

    async def gone() -> bool:
        return [key for agent in agents for key in agent.assigned] == [before[0].id]

    await eventually(gone)
    heard = [assignment.instance_id for agent in agents for assignment in agent.seen]
    assert sorted(heard) == sorted([*(item.id for item in before), added.id]), "each of them once"
    async with world.db.read() as tx:
        good = await good_specs.of_service(tx, service_id)
    assert good is not None
    assert (good.revision, good.spec.instances) == (1, 1)


async def test_one_that_is_not_well_is_repaired(world: Engine) -> None:
    replica = await world.start_replica()
    ill = True

    def sometimes(assignment: pb.Assignment) -> pb.InstanceStatus | None:
        status = obey(assignment)
        if status is not None and ill and "KONTENA_SERVICE_INSTANCE_NUMBER=2" in assignment.pod.env:
            status.error = "boom"
        return status

    for node in (NODE_1, NODE_2):
        world.attach(replica, node, behave=sometimes)
    service_id = await world.service(instances=3, deploy_opts=DeployOpts(min_health=0.0))
    assert (await world.finished(service_id, await world.deploy(service_id))).state == "error"
    ill = False
    before = await world.instances(service_id)
    result = await world.finished(service_id, await world.scale(service_id, 3))
    assert (result.state, result.reason) == ("success", None)
    after = await world.instances(service_id)
    assert [item.deploy_rev == result.deploy_rev for item in after] == [False, True, False]
    assert [replace(item, good_container_id=None) for item in (after[0], after[2])] == [
        replace(item, good_container_id=None) for item in (before[0], before[2])
    ]
    assert [item.good_container_id for item in after] == [item.container_id for item in after]


async def test_a_secret_that_changes_while_a_scaling_waits_reaches_all(world: Engine) -> None:
    loop = await world.lone_loop()
    service_id = await _running(world, loop, 2, secrets=(SecretRef("PASSWORD", "PASSWORD"),))
    deploy_id = await world.scale(service_id, 3)
    async with world.db.transaction() as tx:
        await redeploy_users(tx, GRID, "secrets", "PASSWORD", new_id())
    await loop.step(service_id)
    await _report(world, service_id, 2)
    await loop.step(service_id)
    await _report(world, service_id, 3)
    await loop.step(service_id)
    result = await world.result(service_id, deploy_id)
    assert result.state == "success"
    assert [(item.deploy_rev, item.service_revision) for item in await world.instances(service_id)] == [
        (result.deploy_rev, 2)
    ] * 3


async def test_those_that_stay_cost_no_statements(world: Engine) -> None:
    loop = await world.lone_loop()
    counts = []
    for number in (3, 30):
        service_id = await _running(world, loop, number, name=f"s{number}")
        await world.scale(service_id, number + 1)
        with counted(world) as growing:
            await loop.step(service_id)
        await _report(world, service_id, 2)
        await loop.step(service_id)
        deploy_id = await world.scale(service_id, number)
        with counted(world) as shrinking:
            await loop.step(service_id)
        result = await world.result(service_id, deploy_id)
        assert (result.state, len(result.instance_deploys)) == ("success", number)
        counts.append((len(growing), len(shrinking)))
    assert counts[0] == counts[1]


async def _running(world: Engine, loop: RolloutLoop, number: int, name: str = "web", **spec: object) -> str:
    """A service whose instances all run."""
    service_id = await world.service(name, instances=number, deploy_opts=DeployOpts(min_health=0.0), **spec)
    deploy_id = await world.deploy(service_id)
    await loop.step(service_id)
    await _report(world, service_id, 1)
    await loop.step(service_id)
    assert (await world.result(service_id, deploy_id)).state == "success"
    return service_id


async def _report(world: Engine, service_id: str, sequence: int) -> None:
    """What nodes say that run what they were told to."""
    for item in await world.instances(service_id):
        status = InstanceStatus(item.id, item.deploy_rev, "running", container_id=f"c-{item.id}")
        async with world.db.transaction() as tx:
            await instances.store_report(tx, str(item.node_id), 1, sequence, [status])
