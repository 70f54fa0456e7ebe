"""The stream of each node: snapshot, deltas, secrets and status reports."""

from collections.abc import Callable

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_spec import SecretRef, ServiceSpec
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import services as service_store
from tests.integration.deploy_svc.engine_fixtures import Engine, attached, deployed, ignore
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually
from tests.support.leaks import dump


@pytest.fixture
def world(one_node: Engine) -> Engine:
    return one_node


VALUE = "s3cr3t-value-0815"


async def test_the_first_message_is_the_complete_snapshot(world: Engine) -> None:
    replica = await world.start_replica()
    empty = world.attach(replica, NODE_1)
    await eventually(lambda: attached(empty))
    assert empty.received[0].WhichOneof("message") == "snapshot"
    assert not empty.received[0].snapshot.assignments
    await deployed(world, empty, instances=2)
    again = world.attach(replica, NODE_1)
    await eventually(lambda: attached(again))
    assert {item.instance_number for item in again.received[0].snapshot.assignments} == {1, 2}


async def test_what_is_sent_once_is_not_sent_again(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent)
    before, old = len(agent.seen), agent.seen[-1]
    async with world.db.transaction() as tx:
        await instance_store.notify_nodes(tx, service_id)
        await instance_store.notify_nodes(tx, service_id)
    async with world.db.transaction() as tx:
        await instance_store.request_restart(tx, service_id)

    async def restarted() -> bool:
        return agent.seen[-1].restarts == 1

    await eventually(restarted)
    assert len(agent.seen) == before + 1
    # MH-33.
    assert (agent.seen[-1].deploy_rev, agent.seen[-1].service_revision) == (old.deploy_rev, old.service_revision)


async def test_a_changed_service_reaches_its_node_with_a_deploy_only(world: Engine) -> None:
    """MH-56; the loop deploys stateless services by itself."""
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, stateful=True)
    before = len(agent.seen)
    async with world.db.transaction() as tx:
        await service_store.update(tx, service_id, ServiceSpec(image="app:2", stateful=True), bump=True)
        await instance_store.notify_nodes(tx, service_id)
        # What comes after the notification shows that the node was looked at.
        await instance_store.request_restart(tx, service_id)

    async def restarted() -> bool:
        return agent.seen[-1].restarts == 1

    await eventually(restarted)
    assert len(agent.seen) > before
    assert {(item.pod.image, item.service_revision) for item in agent.seen} == {("app", 1)}
    await world.finished(service_id, await world.deploy(service_id))
    assert {(item.pod.image, item.service_revision) for item in agent.assigned.values()} == {("app:2", 2)}


async def test_stop_start_and_delete_reach_the_node(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent)
    await world.stop(service_id)

    async def states(expected: set[str]) -> bool:
        return {item.desired_state for item in agent.assigned.values()} == expected

    await eventually(lambda: states({"stopped"}))
    async with world.db.transaction() as tx:
        await instance_store.set_desired_state(tx, service_id, "running")
    await eventually(lambda: states({"running"}))
    async with world.db.transaction() as tx:
        await instance_store.notify_nodes(tx, service_id)
        await service_store.delete(tx, service_id)
    await eventually(lambda: states(set()))


async def test_secrets_are_in_the_assignment_and_nowhere_else(
    world: Engine, engine_url: str, logged: Callable[[], str]
) -> None:
    world.around.vault.values |= {(GRID, "one"): VALUE, (GRID, "two"): "second"}
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    refs = (SecretRef("two", "CERTS"), SecretRef("one", "CERTS"), SecretRef("one", "PASSWORD"))
    await deployed(world, agent, secrets=refs)
    (assignment,) = agent.assigned.values()
    assert [(item.name, item.type, item.value) for item in assignment.secrets] == [
        ("CERTS", "env", "second"),
        ("CERTS", "env", VALUE),
        ("PASSWORD", "env", VALUE),
    ]
    assert not any(VALUE in entry for entry in assignment.pod.env)
    assert VALUE not in await dump(engine_url, "deploy")
    assert VALUE not in logged()


async def test_a_missing_secret_is_named_and_fails_the_deploy(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await world.service(secrets=(SecretRef("gone", "A"), SecretRef("also", "B")))
    result = await world.finished(service_id, await world.deploy(service_id))
    error = "Secret also does not exist; Secret gone does not exist"
    assert result.instance_deploys[0].error == f"GridServiceInstanceDeployer::ServiceError: {error}"
    (assignment,) = agent.assigned.values()
    assert (assignment.error, list(assignment.secrets)) == (error, [])


async def test_only_what_needs_secrets_waits_for_an_absent_vault(world: Engine) -> None:
    world.around.vault.values[GRID, "one"] = VALUE
    world.around.vault.down = True
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    secret = await world.service("secret", secrets=(SecretRef("one", "A"),))
    waiting = await world.deploy(secret)
    plain = await deployed(world, agent, name="plain")
    ready = [item.service_id for item in agent.assigned.values() if not item.error]
    assert ready == [plain], "the other one exists, without values"
    assert (await world.result(secret, waiting)).state == "ongoing"
    world.around.vault.down = False
    assert (await world.finished(secret, waiting)).state == "success"
    assert [item.value for assignment in agent.assigned.values() for item in assignment.secrets] == [VALUE]


async def test_a_snapshot_without_vault_keeps_every_instance_alive(world: Engine) -> None:
    world.around.vault.values[GRID, "one"] = VALUE
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, secrets=(SecretRef("one", "A"),))
    (instance,) = await world.instances(service_id)
    world.around.vault.down = True
    again = world.attach(replica, NODE_1, behave=ignore)
    await eventually(lambda: attached(again))
    (placeholder,) = again.received[0].snapshot.assignments
    assert (placeholder.instance_id, placeholder.deploy_rev, list(placeholder.secrets)) == (instance.id, "", [])
    assert "cannot be read" in placeholder.error
    world.around.vault.down = False

    async def complete() -> bool:
        (assignment,) = again.assigned.values()
        return [item.value for item in assignment.secrets] == [VALUE] and not assignment.error

    await eventually(complete)


async def test_stopping_needs_no_vault(world: Engine) -> None:
    world.around.vault.values[GRID, "one"] = VALUE
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, secrets=(SecretRef("one", "A"),))
    world.around.vault.down = True
    await world.stop(service_id)

    async def stopped() -> bool:
        return {item.desired_state for item in agent.assigned.values()} == {"stopped"}

    await eventually(stopped)


async def test_data_that_a_node_once_told_of_is_in_its_assignments_until_the_instance_leaves(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, stateful=True)
    (instance,) = await world.instances(service_id)

    async def told(sequence: int, **volumes: str) -> None:
        data = [pb.DataVolume(path=path, name=name) for path, name in volumes.items()]
        state = pb.InstanceStatus(instance_id=instance.id, rev=instance.rev or "", state="running", data_volumes=data)
        await agent.report(state, sequence=sequence)

        async def acked() -> bool:
            return agent.acked == sequence

        await eventually(acked)

    async def known(node_id: str) -> dict[str, str]:
        fresh = world.attach(replica, node_id, session=1, behave=ignore)
        await eventually(lambda: attached(fresh))
        return {item.path: item.name for item in fresh.assigned[instance.id].data_volumes}

    assert await known(NODE_1) == {}
    await told(100, a="volume-a")
    await told(101, b="volume-b")
    # An agent that forgot everything, or one of an earlier release, takes nothing back.
    await told(102)
    assert await known(NODE_1) == {"a": "volume-a", "b": "volume-b"}
    world.node(NODE_2, 2)
    world.around.grids.nodes.remove(NODE_1)
    world.attach(replica, NODE_2)

    async def placed() -> bool:
        result = await world.finished(service_id, await world.deploy(service_id))
        return result.state == "success" and (await world.instances(service_id))[0].node_id == NODE_2

    await eventually(placed)
    assert await known(NODE_2) == {}
