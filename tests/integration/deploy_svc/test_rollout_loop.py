"""Deploys carried out by replicas of the rollout loop on one database, with scripted nodes."""

from collections import Counter
from itertools import pairwise

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_spec import DeployOpts, Port
from services.deploy_svc.loops import rollout
from services.deploy_svc.store import rollout_plans, tables
from tests.integration.deploy_svc.engine_fixtures import Engine, counted, ignore, obey
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually


async def test_a_deploy_reaches_its_nodes_and_succeeds(world: Engine) -> None:
    replica = await world.start_replica()
    first, second = world.attach(replica, NODE_1), world.attach(replica, NODE_2)
    service_id = await world.service(instances=2, env=("A=1",))
    deploy_id = await world.deploy(service_id)
    result = await world.finished(service_id, deploy_id)
    assert (result.state, result.reason, result.total) == ("success", None, 2)
    assert [item.state for item in result.instance_deploys] == ["success", "success"]
    assert {item.node for item in result.instance_deploys} == {"n1", "n2"}
    (assignment,) = first.assigned.values()
    assert (assignment.pod.image, assignment.desired_state) == ("app", "running")
    assert assignment.deploy_rev == result.deploy_rev
    assert "A=1" in assignment.pod.env
    assert len(second.assigned) == 1
    assert [item.state for item in await world.instances(service_id)] == ["running", "running"]
    assert result.started_at is not None
    assert result.queued_at is not None


async def test_an_assignment_is_on_the_wire_without_a_poll(world: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 3600.0)
    world.around.grids.nodes.remove(NODE_2)
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    await eventually(lambda: _received(agent.received))
    for number in range(3):
        service_id = await world.service(f"s{number}")
        deploy_id = await world.deploy(service_id)
        await eventually(lambda expected=number + 1: _count(agent.assigned, expected))
        await world.finished(service_id, deploy_id)


async def _received(messages: list[pb.AttachResponse]) -> bool:
    return bool(messages)


async def _count(found: dict[str, pb.Assignment], expected: int) -> bool:
    return len(found) == expected


async def test_two_replicas_execute_no_deploy_twice(world: Engine) -> None:
    replicas = [await world.start_replica(), await world.start_replica()]
    agents = [world.attach(replicas[0], NODE_1), world.attach(replicas[1], NODE_2)]
    service_ids = [await world.service(f"s{number}", instances=3) for number in range(6)]
    deploys = [(service_id, await world.deploy(service_id)) for service_id in service_ids for _ in range(3)]
    results = [await world.finished(*deploy, within=90) for deploy in deploys]
    assert Counter(result.state for result in results) == {"success": 18}
    seen = Counter((item.instance_id, item.deploy_rev) for agent in agents for item in agent.seen)
    assert len(seen) == 6 * 3 * 3
    assert set(seen.values()) == {1}
    by_service = {service_id: [r for r in results if r.service_id == service_id] for service_id in service_ids}
    for ordered in by_service.values():
        for earlier, later in pairwise(ordered):
            assert earlier.finished_at <= later.started_at  # type: ignore[operator]


async def test_a_killed_replica_is_taken_over(world: Engine) -> None:
    survivor = await world.start_replica()
    world.attach(survivor, NODE_1, behave=ignore)
    world.attach(survivor, NODE_2, behave=ignore)
    service_id = await world.service(instances=3)
    async with world.replica():
        deploy_id = await world.deploy(service_id)
        await eventually(lambda: world.started(service_id, deploy_id))
    for agent in world.agents:
        agent.behave = obey
        await agent.catch_up()
    result = await world.finished(service_id, deploy_id)
    assert result.state == "success"
    assert len(result.instance_deploys) == 3


async def test_work_waits_for_a_replica_when_all_are_gone(world: Engine) -> None:
    service_id = await world.service()
    deploy_id = await world.deploy(service_id)
    assert (await world.result(service_id, deploy_id)).state == "created"
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    assert (await world.finished(service_id, deploy_id)).state == "success"


async def test_a_stop_in_the_middle_ends_the_deploy_with_an_error(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, NODE_1, behave=ignore), world.attach(replica, NODE_2, behave=ignore)]
    service_id = await world.service(instances=3)
    deploy_id = await world.deploy(service_id)
    await eventually(lambda: world.started(service_id, deploy_id))
    await world.stop(service_id)
    result = await world.finished(service_id, deploy_id)
    assert result.state == "error"
    assert "changed to stopped" in str(result.reason)
    assert all(item.error for item in result.instance_deploys)

    async def told() -> bool:
        return {item.desired_state for agent in agents for item in agent.assigned.values()} == {"stopped"}

    await eventually(told)


async def test_a_deploy_of_a_stopped_service_is_aborted(world: Engine) -> None:
    service_id = await world.service()
    deploy_id = await world.deploy(service_id)
    await world.stop(service_id)
    await world.start_replica()
    result = await world.finished(service_id, deploy_id)
    assert (result.state, result.started_at) == ("error", None)


async def test_a_failing_instance_ends_the_deploy_with_its_error(world: Engine) -> None:
    def fail(assignment: pb.Assignment) -> pb.InstanceStatus:
        return pb.InstanceStatus(
            instance_id=assignment.instance_id, rev=assignment.deploy_rev, state="missing", error="no such image\0"
        )

    replica = await world.start_replica()
    world.attach(replica, NODE_1, behave=fail)
    world.attach(replica, NODE_2, behave=fail)
    service_id = await world.service(instances=3)
    deploy_id = await world.deploy(service_id)
    result = await world.finished(service_id, deploy_id)
    error = "GridServiceInstanceDeployer::ServiceError: no such image\ufffd"
    assert [item.error for item in result.instance_deploys] == [error] * 3
    assert "g1/stack/web-1" in str(result.reason)
    assert "(and 2 more)" in str(result.reason)


async def test_scaling_down_removes_and_scaling_to_zero_succeeds(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, NODE_1), world.attach(replica, NODE_2)]
    service_id = await world.service(instances=3)
    await world.finished(service_id, await world.deploy(service_id))
    for wanted in (1, 0):
        await _set_instances(world, service_id, wanted)
        result = await world.finished(service_id, await world.deploy(service_id))
        assert (result.state, result.total) == ("success", wanted)

        async def gone(wanted: int = wanted) -> bool:
            return sum(len(agent.assigned) for agent in agents) == wanted

        await eventually(gone)


async def _set_instances(world: Engine, service_id: str, wanted: int) -> None:
    await _change_spec(world, service_id, {"instances": wanted})


async def _change_spec(world: Engine, service_id: str, changes: dict[str, object]) -> None:
    spec = tables.services.c.spec.concat(sa.cast(changes, JSONB))
    async with world.db.transaction() as tx:
        await tx.execute(tables.services.update().where(tables.services.c.id == service_id).values(spec=spec))


async def test_two_services_deployed_at_once_never_share_a_port_on_a_node(world: Engine) -> None:
    replicas = [await world.start_replica(), await world.start_replica()]
    world.attach(replicas[0], NODE_1)
    world.attach(replicas[1], NODE_2)
    service_ids = [await world.service(f"s{number}", ports=(Port(80, 80),)) for number in range(4)]
    deploys = [(service_id, await world.deploy(service_id)) for service_id in service_ids]
    results = [await world.finished(*deploy) for deploy in deploys]
    assert Counter(result.state for result in results) == {"success": 2, "error": 2}
    refused = [result.reason for result in results if result.state == "error"]
    assert all("port 80 taken by stack/s" in str(reason) for reason in refused)
    placed = [item.node_id for service_id in service_ids for item in await world.instances(service_id)]
    assert sorted(map(str, placed)) == [NODE_1, NODE_2]


async def test_rules_about_other_services_see_them(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    db = await world.service("db")
    await world.finished(db, await world.deploy(db))
    (home,) = await world.instances(db)
    near = await world.service("near", affinity=("service==db", "container==stack.db-1"))
    far = await world.service("far", affinity=("service!=db",))
    for service_id in (near, far):
        assert (await world.finished(service_id, await world.deploy(service_id))).state == "success"
    (next_to,) = await world.instances(near)
    (away,) = await world.instances(far)
    assert next_to.node_id == home.node_id
    assert away.node_id != home.node_id


async def test_grid_default_affinity_is_used(world: Engine) -> None:
    world.around.grids.put_grid(GRID, "g1", "label==gpu")
    await world.start_replica()
    service_id = await world.service()
    result = await world.finished(service_id, await world.deploy(service_id))
    assert "rule label==gpu" in str(result.reason)


async def test_a_step_takes_a_constant_number_of_statements(world: Engine) -> None:
    loop = await world.lone_loop()
    counts = []
    for total in (3, 20):
        service_id = await world.service(f"s{total}", instances=total, deploy_opts=DeployOpts(min_health=0.0))
        deploy_id = await world.deploy(service_id)
        with counted(world) as statements:
            await loop.step(service_id)
        assert len((await world.result(service_id, deploy_id)).instance_deploys) == total
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 13


async def test_a_loop_that_dies_in_the_middle_of_a_step_leaves_nothing_half_done(
    world: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = await world.lone_loop()
    service_id = await world.service()
    deploy_id = await world.deploy(service_id)

    async def die(*_: object) -> None:
        raise ConnectionError("the process died here")

    with monkeypatch.context() as broken:
        broken.setattr(rollout_plans, "mark", die)
        with pytest.raises(ConnectionError):
            await loop.step(service_id)
    assert (await world.result(service_id, deploy_id)).state == "created"
    assert await world.instances(service_id) == []
    await loop.step(service_id)
    assert (await world.result(service_id, deploy_id)).state == "ongoing"


async def test_steps_that_always_fail_end_the_deploy(world: Engine) -> None:
    service_id = await world.service()
    await _change_spec(world, service_id, {"strategy": "no such strategy"})
    deploy_id = await world.deploy(service_id)
    await world.start_replica()
    result = await world.finished(service_id, deploy_id)
    assert (result.state, result.reason) == ("error", "Aborted: internal error, see the log of deploy_svc")
