"""What nodes report, and whose reports count."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import grpc
import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_view import InstanceCounts
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import tables
from tests.integration.deploy_svc.engine_fixtures import WAITING, Engine, attached, deployed, ended
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually


@pytest.fixture
def world(one_node: Engine) -> Engine:
    return one_node


async def test_duplicate_and_late_reports_change_nothing(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1, session=3)
    service_id = await deployed(world, agent)
    (instance,) = await world.instances(service_id)

    async def tell(sequence: int, state: str) -> str:
        await agent.report(
            pb.InstanceStatus(instance_id=instance.id, rev=instance.rev or "", state=state), sequence=sequence
        )

        async def acked() -> bool:
            return agent.acked == sequence

        await eventually(acked)
        return (await world.instances(service_id))[0].state

    assert await tell(100, "restarting") == "restarting"
    assert await tell(99, "stopped") == "restarting"
    assert await tell(100, "stopped") == "restarting"
    assert await tell(101, "running") == "running"
    assert await tell(102, "on fire") == "running"


async def test_reports_of_an_older_session_change_nothing(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1, session=2)
    service_id = await deployed(world, agent)
    (instance,) = await world.instances(service_id)
    async with world.db.transaction() as tx:
        changed = await instance_store.store_report(tx, NODE_1, 1, 10_000, [status(instance.id, "stopped")])
    assert changed == []
    async with world.db.transaction() as tx:
        changed = await instance_store.store_report(tx, NODE_1, 3, 1, [status(instance.id, "stopped")])
    assert changed == [service_id]


def status(instance_id: str, state: str) -> InstanceStatus:
    return InstanceStatus(instance_id, None, state, container_started_at=datetime(2026, 1, 1, tzinfo=UTC))


async def test_a_node_cannot_speak_for_another_one(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent)
    (instance,) = await world.instances(service_id)
    world.node(NODE_2, 2)
    other = world.attach(replica, NODE_2)
    sequence = await other.report(
        pb.InstanceStatus(instance_id=instance.id, state="stopped"),
        pb.InstanceStatus(instance_id="f" * 24, state="stopped"),
    )

    async def acked() -> bool:
        return other.acked == sequence

    await eventually(acked)
    assert (await world.instances(service_id))[0].state == "running"
    assert other.assigned == {}


async def test_a_superseded_session_is_refused(world: Engine) -> None:
    world.node(NODE_1, 1, session=5)
    replica = await world.start_replica()

    async def known() -> bool:
        probe = world.attach(replica, NODE_1, session=4)
        found = await eventually(lambda: ended(probe))
        return found is not None and found.code() is grpc.StatusCode.FAILED_PRECONDITION

    await eventually(known)
    current = world.attach(replica, NODE_1, session=5)
    newer = world.attach(replica, NODE_1, session=6)
    await eventually(lambda: attached(current))
    await eventually(lambda: attached(newer))


async def test_an_open_session_ends_when_a_newer_one_opens_or_the_node_goes(world: Engine) -> None:
    replica = await world.start_replica()
    first, second = world.attach(replica, NODE_1, session=1), world.attach(replica, NODE_1, session=2)
    await eventually(lambda: attached(first))
    world.node(NODE_1, 1, session=2)
    error = await eventually(lambda: ended(first))
    assert error is not None
    assert reason(error) == "SESSION_SUPERSEDED"
    assert second.failure is None
    world.around.grids.nodes.remove(NODE_1)
    error = await eventually(lambda: ended(second))
    assert error is not None
    assert reason(error) == "NODE_REMOVED"


def reason(error: grpc.aio.AioRpcError) -> str:
    """Of the ErrorInfo in the status details."""
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    return next(name for name in ("SESSION_SUPERSEDED", "NODE_REMOVED") if name.encode() in bytes(details))


async def test_user_and_service_tokens_do_not_open_the_stream(world: Engine) -> None:
    from kontena.deploy.v1.assignment_pb2_grpc import AssignmentServiceStub  # noqa: PLC0415
    from tests.support.running import service_metadata  # noqa: PLC0415

    replica = await world.start_replica()
    stub: Any = AssignmentServiceStub(replica.channel)
    for metadata in ((), service_metadata(), (("authorization", "Bearer member"),)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Attach(metadata=metadata).read()
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_counts(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, instances=3)
    first, second, third = await world.instances(service_id)
    await agent.report(
        pb.InstanceStatus(instance_id=first.id, state="running", container_id="a", health="healthy"),
        pb.InstanceStatus(instance_id=second.id, state="stopped", container_id="b", health="unhealthy"),
        pb.InstanceStatus(instance_id=third.id, state="missing"),
    )

    async def counted() -> bool:
        async with world.db.read() as tx:
            found = await instance_store.counts(tx, [service_id, "none"])
        assert found["none"] == InstanceCounts()
        return found[service_id] == InstanceCounts(total=2, running=1, healthy=1, unhealthy=1)

    await eventually(counted)


async def test_a_report_is_stored_in_a_constant_number_of_statements(world: Engine) -> None:
    replica = await world.start_replica()
    agent = world.attach(replica, NODE_1)
    service_id = await deployed(world, agent, instances=4)
    all_ids = [item.id for item in await world.instances(service_id)]
    statements: list[str] = []
    sa.event.listen(world.db.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counts = []
    for sequence, ids in ((1000, all_ids[:2]), (1001, all_ids)):
        statements.clear()
        async with world.db.transaction() as tx:
            await instance_store.store_report(tx, NODE_1, 1, sequence, [status(key, "stopped") for key in ids])
        counts.append(len(statements))
    assert counts == [1, 1]
    async with world.db.read() as tx:
        states = (await tx.execute(sa.select(tables.instances.c.state))).scalars().all()
    assert set(states) == {"stopped"}


async def _blocked(world: Engine) -> bool:
    """Whether somebody waits for a row that another one has locked."""
    async with world.db.read() as tx:
        return bool((await tx.execute(WAITING)).scalar_one())


async def _report(world: Engine, sequence: int, *statuses: InstanceStatus) -> list[str]:
    async with world.db.read() as tx:
        return await instance_store.store_report(tx, NODE_1, 1, sequence, statuses)


async def _locked(world: Engine, instance_id: str, **changed: Any) -> list[str]:
    """What a report changes that had to wait for somebody who wrote this meanwhile."""
    row = tables.instances.c.id == instance_id
    async with world.db.transaction() as tx:
        await tx.execute(tables.instances.update().where(row).values(changed))
        waiting = asyncio.create_task(_report(world, 500, status(instance_id, "stopped")))
        await eventually(lambda: _blocked(world))
    return await waiting


@pytest.mark.parametrize(
    "changed", [{"node_id": NODE_2}, {"reported_session": 2}, {"reported_session": 1, "reported_sequence": 500}]
)
async def test_a_report_that_waits_for_a_row_judges_what_it_has_become(world: Engine, changed: dict[str, Any]) -> None:
    instance_id = await _alone(world)
    assert await _locked(world, instance_id, **changed) == []
    assert await _state(world, instance_id) == "running"


async def test_a_report_that_waited_for_a_row_is_stored_beside_what_was_written(world: Engine) -> None:
    instance_id = await _alone(world)
    assert len(await _locked(world, instance_id, desired_state="stopped", deploy_rev="r2")) == 1
    async with world.db.read() as tx:
        row = (await tx.execute(sa.select(tables.instances))).one()
    assert (row.state, row.desired_state, row.deploy_rev) == ("stopped", "stopped", "r2")


async def _alone(world: Engine) -> str:
    """An instance that runs, of which nobody reports any more."""
    service_id = await world.service()
    known = {"reported_session": 1, "reported_sequence": 10, "deploy_rev": "r1", "rev": "r1", "state": "running"}
    async with world.db.transaction() as tx:
        row = {"id": "e" * 24, "service_id": service_id, "grid_id": GRID, "instance_number": 1, "node_id": NODE_1}
        await tx.execute(tables.instances.insert().values(**row, **known))
    return str(row["id"])


async def _state(world: Engine, instance_id: str) -> str:
    async with world.db.read() as tx:
        query = sa.select(tables.instances.c.state).where(tables.instances.c.id == instance_id)
        return str((await tx.execute(query)).scalar_one())


async def test_a_report_wakes_the_rollout_of_a_service_that_is_deployed(world: Engine) -> None:
    """The first report of two finds no deploy, so the first that wakes anybody is the second."""
    instance_id = await _alone(world)
    connection = await asyncpg.connect(world.url)
    woken: asyncio.Queue[str] = asyncio.Queue()
    try:
        await connection.add_listener(tables.SERVICE_CHANGED, lambda *args: woken.put_nowait(args[3]))
        (service_id,) = await _report(world, 500, status(instance_id, "stopped"))
        assert woken.empty()
        async with world.db.transaction() as tx:
            deploy = tables.service_deploys.insert().values(id="d" * 24, service_id=service_id)
            await tx.execute(deploy)
        assert await _report(world, 501, status(instance_id, "restarting")) == [service_id]
        assert await asyncio.wait_for(woken.get(), 30) == service_id
        assert await _report(world, 502, status(instance_id, "restarting")) == []
    finally:
        await connection.close()
    assert woken.empty()


async def test_the_last_of_several_statuses_of_an_instance_counts(world: Engine) -> None:
    instance_id = await _alone(world)
    await _report(world, 500, status(instance_id, "restarting"), status(instance_id, "stopped"))
    assert await _state(world, instance_id) == "stopped"


async def test_volumes_that_a_report_does_not_name_stay_known(world: Engine) -> None:
    instance_id = await _alone(world)
    for sequence, volumes in ((500, {"/a": "x"}), (501, {"/b": "y"}), (502, {})):
        told = replace(status(instance_id, "running"), data_volumes=volumes)
        assert len(await _report(world, sequence, told)) == (sequence < 502)
    [instance] = await instance_store.on_node(world.db, NODE_1, [instance_id])
    assert instance.data_volumes == {"/a": "x", "/b": "y"}
