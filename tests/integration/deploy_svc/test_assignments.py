"""The stream of each node: snapshot, deltas, secrets and status reports."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import grpc
import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc import app
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_spec import SecretRef, ServiceSpec
from services.deploy_svc.domain.service_view import InstanceCounts
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import tables
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine, engine, ignore, settings
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres, truncate

VALUE = "s3cr3t-value-0815"


@pytest.fixture(scope="session")
def assignments_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    app.migrate(settings(url))
    return url


@pytest.fixture
async def world(assignments_url: str) -> AsyncIterator[Engine]:
    await truncate(assignments_url, "deploy")
    async with engine(assignments_url) as found:
        found.node(NODE_1, 1)
        yield found


async def deployed(world: Engine, agent: Agent, **spec: Any) -> str:
    """A service whose instances run on the agent's node."""
    service_id = await world.service(**spec)
    result = await world.finished(service_id, await world.deploy(service_id))
    assert result.state == "success", result
    return service_id


async def ended(agent: Agent) -> grpc.aio.AioRpcError | None:
    return agent.failure


async def attached(agent: Agent) -> bool:
    return bool(agent.received)


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
    world: Engine, assignments_url: str, capsys: pytest.CaptureFixture[str]
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
    assert VALUE not in await dump(assignments_url)
    printed = capsys.readouterr()
    assert VALUE not in printed.out + printed.err


async def dump(url: str) -> str:
    """All rows of all tables of the service as text."""
    connection = await asyncpg.connect(url)
    tables_ = await connection.fetch("select tablename from pg_tables where schemaname = 'deploy'")
    rows = [
        str(row[0])
        for table in tables_
        for row in await connection.fetch(f'select t::text from deploy."{table["tablename"]}" t')  # noqa: S608
    ]
    await connection.close()
    assert rows
    return "\n".join(rows)


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
    assert counts == [2, 2]
    async with world.db.read() as tx:
        states = (await tx.execute(sa.select(tables.instances.c.state))).scalars().all()
    assert set(states) == {"stopped"}
