"""Deploys and instances whose nodes drain, are lost, or are removed, with scripted nodes."""

from datetime import timedelta

import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import tables
from tests.integration.deploy_svc.agents import placed
from tests.integration.deploy_svc.engine_fixtures import Engine, engine, ignore, obey
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables


def stops_nothing(assignment: pb.Assignment) -> pb.InstanceStatus | None:
    """A node whose containers take long to end."""
    return None if assignment.desired_state == "stopped" else obey(assignment)


async def test_a_moving_instance_stops_on_the_old_node_before_the_new_one_starts_it(world: Engine) -> None:
    # Before the replica asks, so that it knows.
    world.node(NODE_2, 2, availability="drain")
    replica = await world.start_replica()
    first, second = world.attach(replica, NODE_1), world.attach(replica, NODE_2)
    service_id = await world.service()
    await world.finished(service_id, await world.deploy(service_id))
    (before,) = await world.instances(service_id)
    assert before.node_id == NODE_1
    first.behave = stops_nothing
    world.node(NODE_1, 1, availability="drain")
    world.node(NODE_2, 2)
    # The deploy may begin before the replica hears of the drain: then the instance is moved after it.
    await world.deploy(service_id)

    async def stopping() -> bool:
        return first.assigned[before.id].desired_state == "stopped"

    await eventually(stopping)
    assert second.assigned == {}
    first.behave = obey
    await first.catch_up()

    async def moved() -> Instance:
        (found,) = await world.instances(service_id)
        assert (found.id, found.node_id, found.state) == (before.id, NODE_2, "running")
        assert not first.assigned
        return found

    after = await eventually(moved)
    # What the old node still says about it counts no more.
    sequence = await first.report(pb.InstanceStatus(instance_id=before.id, rev="9", state="stopped", error="late"))
    await eventually(lambda: _acked(first, sequence))
    (still,) = await world.instances(service_id)
    assert (still.state, still.error, still.rev) == ("running", None, after.rev)


async def _acked(agent: object, sequence: int) -> bool:
    return agent.acked >= sequence  # type: ignore[attr-defined]


async def test_a_node_that_is_lost_for_long_fails_what_it_should_start(engine_url: str) -> None:
    await empty_tables(engine_url, "deploy")
    # Everything that is said about a lost node is believed at once.
    async with engine(engine_url, grace_factor=0.0) as world:
        world.node(NODE_1, 1)
        world.node(NODE_2, 2)
        await fails_on_a_lost_node(world)


async def fails_on_a_lost_node(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1, behave=ignore)
    world.attach(replica, NODE_2, behave=ignore)
    service_id = await world.service()
    deploy_id = await world.deploy(service_id)
    await eventually(lambda: world.started(service_id, deploy_id))
    (rollout,) = (await world.result(service_id, deploy_id)).instance_deploys
    number = 1 if rollout.node_id == NODE_1 else 2
    world.node(rollout.node_id, number, connected=False, disconnected_seconds=60)
    result = await world.finished(service_id, deploy_id)
    assert (
        result.instance_deploys[0].error
        == f"GridServiceInstanceDeployer::NodeMissingError: node n{number} is not connected"
    )


async def test_a_rollout_outlives_an_outage_in_which_nobody_saw_the_node(world: Engine) -> None:
    """The control plane was away for an hour: its agents get the time to come back."""
    world.around.grids.nodes.remove(NODE_2)
    replica = await world.start_replica()
    world.attach(replica, NODE_1, behave=ignore)
    service_id = await world.service()
    deploy_id = await world.deploy(service_id)
    await eventually(lambda: world.started(service_id, deploy_id))
    world.node(NODE_1, 1, connected=False, disconnected_seconds=3600)
    waiting = await world.deploy(service_id)
    [agent] = world.agents
    agent.behave = obey
    await agent.catch_up()
    assert (await world.finished(service_id, deploy_id)).state == "success"
    assert (await world.result(service_id, waiting)).state == "created"
    world.node(NODE_1, 1, session=1)
    result = await world.finished(service_id, waiting)
    assert (result.state, [item.node for item in result.instance_deploys]) == ("success", ["n1"])


async def test_a_removed_node_loses_its_instances(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    service_id = await world.service(instances=2, stateful=True)
    await world.finished(service_id, await world.deploy(service_id))
    world.around.grids.nodes.remove(NODE_2)

    async def nowhere() -> bool:
        return {item.node_id for item in await world.instances(service_id)} == {NODE_1, None}

    await eventually(nowhere)
    result = await world.finished(service_id, await world.deploy(service_id))
    assert result.state == "success"
    assert {item.node_id for item in await world.instances(service_id)} == {NODE_1}


async def test_a_node_that_is_back_keeps_its_instances(world: Engine) -> None:
    """A watch that began anew may tell so of nodes that were there all the time."""
    loop = await world.lone_loop()
    service_id = await world.service()
    await placed(world.db, service_id, NODE_1, NODE_2)

    async def knows(node_id: str) -> bool:
        return await world.directory.by_id(node_id) is not None

    await eventually(lambda: knows(NODE_1))
    world.around.grids.nodes.remove(NODE_2)
    world.node(NODE_2, 2)
    # Told after both, so they were heard when this is.
    world.around.grids.nodes.remove(NODE_1)

    async def heard() -> bool:
        return not await knows(NODE_1)

    await eventually(heard)
    await loop.handle_node_changes()
    assert {item.node_id for item in await world.instances(service_id)} == {NODE_2, None}


async def test_unknown_nodes_are_forgotten_only_when_nothing_happened_lately(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    service_id = await world.service(instances=2)
    await world.finished(service_id, await world.deploy(service_id))
    async with world.db.transaction() as tx:
        await instance_store.forget_unknown_nodes(tx, [NODE_1])
    assert {item.node_id for item in await world.instances(service_id)} == {NODE_1, NODE_2}
    async with world.db.transaction() as tx:
        await tx.execute(tables.instances.update().values(updated_at=sa.func.now() - timedelta(minutes=2)))
        await instance_store.forget_unknown_nodes(tx, [NODE_1])
    assert {item.node_id for item in await world.instances(service_id)} == {NODE_1, None}
