"""Nodes come and go under replicas of the reconcile loop, scripted agents (docs/spec/orchestration.md section 4)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.domain.service_spec import DeployOpts, Hook
from services.deploy_svc.loops.deploy_history import drop_old_deploys
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import tables
from services.deploy_svc.store.stats_tables import container_stats
from services.deploy_svc.usecases import patience
from tests.integration.deploy_svc.engine_fixtures import Engine, engine, obey
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

NODE_3 = "3" * 24
# The grace of `ha` is then 1.2 s, that of `daemon` 6 s, that of `random` 0.3 s.
QUICK = {"reconcile_seconds": 0.5, "grace_factor": 0.01}


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url, **QUICK) as found:
        found.node(NODE_1, 1)
        found.node(NODE_2, 2)
        yield found


async def deployed(world: Engine, **spec: Any) -> str:
    service_id = await world.service(**spec)
    result = await world.finished(service_id, await world.deploy(service_id))
    assert result.state == "success", result
    return service_id


async def deploys(world: Engine, service_id: str) -> list[Any]:
    table = tables.service_deploys
    async with world.db.read() as tx:
        return list(await tx.execute(table.select().where(table.c.service_id == service_id).order_by(table.c.seq)))


async def automatic(world: Engine, service_id: str, count: int = 2, within: float = 30.0) -> ServiceDeploy:
    """The newest deploy, once there are `count` and all ended."""

    async def ended() -> bool:
        found = await deploys(world, service_id)
        return len(found) >= count and all(row.finished_at for row in found)

    await eventually(ended, within=within, message="the loop deploys the service")
    found = await deploys(world, service_id)
    assert len(found) == count, [(row.cause, row.state, row.reason) for row in found]
    return await world.result(service_id, found[-1].id)


async def homes(world: Engine, service_id: str) -> list[str | None]:
    return sorted((item.node_id for item in await world.instances(service_id)), key=str)


async def quiet(world: Engine, service_id: str, count: int) -> None:
    """Two passes of the loop make no further deploy."""
    checks = tables.service_checks
    async with world.db.read() as tx:
        before = (await tx.execute(sa.select(checks.c.due_at).where(checks.c.service_id == service_id))).scalar()
    for _ in range(2):

        async def looked_at(then: Any = before) -> Any:
            async with world.db.read() as tx:
                query = sa.select(checks.c.due_at).where(checks.c.service_id == service_id)
                now = (await tx.execute(query)).scalar()
            return now if now != then else None

        before = await eventually(looked_at, message="the loop looks at the service")
    assert len(await deploys(world, service_id)) == count


async def test_a_lost_node_is_replaced_after_the_grace_and_only_once(world: Engine) -> None:
    """MH-38, MH-42: two replicas, one deploy."""
    replicas = [await world.start_replica(), await world.start_replica()]
    world.attach(replicas[0], NODE_1)
    second = world.attach(replicas[1], NODE_2)
    service_id = await deployed(world, instances=2)
    assert await homes(world, service_id) == [NODE_1, NODE_2]
    second.close()
    world.node(NODE_2, 2, connected=False)
    result = await automatic(world, service_id)
    assert result.state == "success"
    assert await homes(world, service_id) == [NODE_1, NODE_1]
    await quiet(world, service_id, 2)


async def test_a_node_that_returns_within_the_grace_changes_nothing(
    engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MH-39."""
    await empty_tables(engine_url, "deploy")
    # The loss is believed at once, and the grace is longer than any machine is slow.
    monkeypatch.setattr(patience, "MISTRUST_SECONDS", 0.0)
    async with engine(engine_url, reconcile_seconds=0.5) as world:
        world.node(NODE_1, 1)
        world.node(NODE_2, 2)
        await returns_within_the_grace(world)


async def returns_within_the_grace(world: Engine) -> None:
    replica = await world.start_replica()
    first, second = world.attach(replica, NODE_1), world.attach(replica, NODE_2)
    service_id = await deployed(world, instances=2, strategy="daemon")
    containers = {item.id: item.container_id for item in await world.instances(service_id)}
    second.close()
    world.node(NODE_2, 2, connected=False)
    await quiet(world, service_id, 1)
    world.node(NODE_2, 2, session=2)
    world.attach(replica, NODE_2, session=2)
    await quiet(world, service_id, 1)
    assert {item.id: item.container_id for item in await world.instances(service_id)} == containers
    assert first.failure is None


async def test_what_grid_svc_says_after_an_outage_is_not_believed_at_once(engine_url: str) -> None:
    """Everybody was away for an hour: nodes are given the time to come back before anything moves."""
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url, reconcile_seconds=0.5) as world:
        world.node(NODE_1, 1)
        world.node(NODE_2, 2)
        replica = await world.start_replica()
        world.attach(replica, NODE_1)
        world.attach(replica, NODE_2)
        service_id = await deployed(world, instances=2)
        world.node(NODE_2, 2, connected=False, disconnected_seconds=3600.0)
        await quiet(world, service_id, 1)
        world.node(NODE_2, 2)
        await quiet(world, service_id, 1)


async def test_a_third_node_takes_an_instance(world: Engine) -> None:
    """MH-41."""
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    service_id = await deployed(world, instances=3)
    world.attach(replica, NODE_3)
    world.node(NODE_3, 3)
    assert (await automatic(world, service_id)).state == "success"
    assert await homes(world, service_id) == [NODE_1, NODE_2, NODE_3]
    await quiet(world, service_id, 2)


async def test_a_new_node_that_has_too_little_memory_for_what_is_used_is_no_reason_to_deploy(world: Engine) -> None:
    """A deploy would not use it, so the loop must not ask for one again and again."""
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    service_id = await deployed(world, instances=3)
    sample = {"grid_id": GRID, "node_id": NODE_1, "service_id": service_id, "container_id": "c", "time": sa.func.now()}
    async with world.db.transaction() as tx:
        await tx.execute(container_stats.insert().values(**sample, usage={"memory": {"usage": 1e9}}))
    world.node(NODE_3, 3, mem_total=1.2e9)
    await quiet(world, service_id, 1)
    world.node(NODE_3, 3, mem_total=1.3e9)
    world.attach(replica, NODE_3)
    assert (await automatic(world, service_id)).state == "success"
    assert await homes(world, service_id) == [NODE_1, NODE_2, NODE_3]


async def test_a_daemon_grows_and_shrinks_with_the_grid(world: Engine) -> None:
    """MH-38: a removed node has no grace."""
    world.around.grids.nodes.remove(NODE_2)
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    service_id = await deployed(world, strategy="daemon")
    world.node(NODE_2, 2)
    world.attach(replica, NODE_2)
    await automatic(world, service_id)
    assert await homes(world, service_id) == [NODE_1, NODE_2]
    world.around.grids.nodes.remove(NODE_2)
    await automatic(world, service_id, 3)
    assert await homes(world, service_id) == [NODE_1]


async def test_drain_moves_stateless_instances_and_holds_stateful_ones(world: Engine) -> None:
    replica = await world.start_replica()
    agents = {NODE_1: world.attach(replica, NODE_1), NODE_2: world.attach(replica, NODE_2)}
    stateless = await deployed(world, name="web", instances=2)
    stateful = await deployed(world, name="db", instances=2, stateful=True)
    places = {item.instance_number: item.node_id for item in await world.instances(stateful)}
    world.node(NODE_2, 2, availability="drain")
    await automatic(world, stateless)
    assert await homes(world, stateless) == [NODE_1, NODE_1]

    async def states(expected: set[str]) -> bool:
        mine = [item for item in agents[NODE_2].assigned.values() if item.service_id == stateful]
        return {item.desired_state for item in mine} == expected

    await eventually(lambda: states({"stopped"}))
    world.node(NODE_2, 2, availability="active")
    await eventually(lambda: states({"running"}))
    assert {item.instance_number: item.node_id for item in await world.instances(stateful)} == places
    await quiet(world, stateful, 1)


async def test_a_service_that_was_stopped_by_its_user_does_not_come_back_with_its_node(world: Engine) -> None:
    world.around.grids.nodes.remove(NODE_2)
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    service_id = await deployed(world, stateful=True)
    world.node(NODE_1, 1, availability="drain")

    async def desired(state: str) -> bool:
        return {item.desired_state for item in await world.instances(service_id)} == {state}

    await eventually(lambda: desired("stopped"))
    await world.stop(service_id)
    other = await deployed_elsewhere(world, replica)
    world.node(NODE_1, 1, availability="active")
    await quiet(world, other, 1)
    assert await desired("stopped")


async def deployed_elsewhere(world: Engine, replica: Any) -> str:
    """A service that shows that the loop is alive."""
    world.node(NODE_2, 2)
    world.attach(replica, NODE_2)
    return await deployed(world, name="other", affinity=("node==n2",))


async def test_a_changed_spec_is_deployed_and_a_default_affinity_moves(world: Engine) -> None:
    """MH-12, MH-49: the loop deploys what was changed; rules of the grid concern services without own ones."""
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    plain = await deployed(world, name="plain", affinity=("node==n1",))
    async with world.db.transaction() as tx:
        found = await service_store.find_by_id(tx, plain, lock=True)
        assert found is not None
        await service_store.update(tx, plain, found.spec, bump=True)
    assert (await automatic(world, plain)).state == "success"
    assert [item.service_revision for item in await world.instances(plain)] == [2]
    free = await deployed(world, name="free", instances=2)
    world.around.grids.put_grid(GRID, "g1", "node==n2")
    await automatic(world, free)
    assert await homes(world, free) == [NODE_2, NODE_2]
    await quiet(world, plain, 2)


async def test_a_failing_deploy_is_not_repeated_at_every_pass(world: Engine) -> None:
    """MH-22, and no retry storm: the original repeated it for ever."""

    def fails(assignment: pb.Assignment) -> pb.InstanceStatus | None:
        return pb.InstanceStatus(
            instance_id=assignment.instance_id, rev=assignment.deploy_rev, state="missing", error="x"
        )

    replica = await world.start_replica()
    world.attach(replica, NODE_1, behave=fails)
    world.attach(replica, NODE_2, behave=fails)
    # One after the other, so that some are not placed yet when the first one fails.
    service_id = await world.service(instances=3, hooks=(Hook("post_start", "seed", "true"),))
    result = await world.finished(service_id, await world.deploy(service_id))
    assert len(result.instance_deploys) == 1
    for _ in range(3):
        await quiet(world, service_id, 1)


async def test_a_failed_deploy_is_rolled_back_on_the_nodes(world: Engine) -> None:
    def picky(assignment: pb.Assignment) -> pb.InstanceStatus | None:
        status = obey(assignment)
        if status is not None and assignment.pod.image == "bad" and assignment.desired_state == "running":
            status.error, status.state, status.container_id = "it does not start", "stopped", "replaced"
        return status

    replica = await world.start_replica()
    agents = [world.attach(replica, NODE_1, behave=picky), world.attach(replica, NODE_2, behave=picky)]
    service_id = await deployed(world, instances=2, image="good", deploy_opts=DeployOpts(rollback=True))
    async with world.db.transaction() as tx:
        found = await service_store.find_by_id(tx, service_id, lock=True)
        assert found is not None
        from dataclasses import replace  # noqa: PLC0415

        await service_store.update(tx, service_id, replace(found.spec, image="bad"), bump=True)
    failed = await world.finished(service_id, await world.deploy(service_id))
    assert failed.state == "error"
    assert str(failed.reason).endswith("rolling back to revision 1")
    result = await automatic(world, service_id, 3)
    assert result.state == "success"
    assert [row.cause for row in await deploys(world, service_id)] == ["request", "request", "rollback"]
    assert {item.pod.image for agent in agents for item in agent.assigned.values()} == {"good"}
    revisions = sorted(item.service_revision for item in await world.instances(service_id))
    assert revisions == [1, 3]
    await quiet(world, service_id, 3)


async def test_finished_deploys_are_kept_up_to_a_hundred(world: Engine) -> None:
    """MH-43."""
    service_id = await world.service()
    table = tables.service_deploys
    rows = [
        {"id": f"{n:024d}", "service_id": service_id, "state": "error", "finished_at": sa.func.now()}
        for n in range(101)
    ]
    async with world.db.transaction() as tx:
        for row in rows:
            await tx.execute(table.insert().values(row))
        await tx.execute(
            table.insert().values(id="f" * 24, service_id=service_id, due_at=sa.text("now() + interval '1 day'"))
        )
    await asyncio.gather(drop_old_deploys(world.db), drop_old_deploys(world.db))
    left = {row.id for row in await deploys(world, service_id)}
    assert left == {f"{n:024d}" for n in range(1, 101)} | {"f" * 24}
