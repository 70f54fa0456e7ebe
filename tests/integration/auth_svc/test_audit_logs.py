"""The audit log is complete and has nothing twice, whatever dies between a mutation and its delivery."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
import sqlalchemy as sa

from kontena.auth.v1 import audit_log_pb2 as pb
from kontena.auth.v1.audit_log_pb2_grpc import AuditLogServiceStub
from services.auth_svc.loops import audit_retention
from services.auth_svc.store import tables
from services.auth_svc.usecases.administration import Administration
from services.auth_svc.usecases.audit_logs import AuditLogs
from services.clients.grids import GridDirectory
from services.kernel import audit
from services.kernel import outbox as outboxes
from services.kernel.audit import Resource
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.migrations import migrate
from services.kernel.outbox import Message
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.conftest import MIGRATIONS
from tests.integration.auth_svc.grid_stand_in import ALPHA, BETA
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET

GONE = "c" * 24


async def listed(client: AuthClient, **request: str) -> list[pb.AuditLog]:
    answer = await client.call(AuditLogServiceStub, "ListAuditLogs", pb.ListAuditLogsRequest(**request))
    return list(answer.logs)


async def test_a_process_that_dies_before_delivery_leaves_it_to_the_others(
    admin: AuthClient, offline: Administration
) -> None:
    # The offline commands write and end: they deliver nothing themselves.
    user = await offline.create_user("audited@x.org")

    async def recorded() -> bool:
        found = [log for log in await listed(admin) if log.resource_id == user.id]
        return [log.event_name for log in found] == ["create"]

    await eventually(recorded, message="the running service delivers it")


@pytest.fixture(scope="module")
def lonely_url(postgres: TestPostgres) -> str:
    """A database that no running service delivers from."""
    url = postgres.database()
    migrate(url, MIGRATIONS, tables.metadata)
    return url


async def test_a_process_that_dies_after_storing_an_event_repeats_nothing(lonely_url: str) -> None:
    db = Database(lonely_url, pool_size=2)
    channel = ServiceChannel("127.0.0.1:1", ClusterTokens(CLUSTER_SECRET), "test")
    logs = AuditLogs(db, GridDirectory(channel))
    outbox = tables.outbox

    async def stores_and_dies(messages: list[Message]) -> None:
        await logs.deliver(messages)
        raise ConnectionError("killed")

    for number in range(3):
        async with db.transaction() as tx:
            await audit.record(tx, outbox, f"event{number}", Resource("Grid", "id", "name"))
    for handler in (stores_and_dies, stores_and_dies, logs.deliver):
        async with db.transaction() as tx:
            await tx.execute(tables.outbox.table.update().values(not_before=sa.func.now()))
        assert await outbox.deliver_due(db, audit.TOPIC, handler) == 3
    async with db.read() as tx:
        stored = (await tx.execute(sa.select(tables.audit_logs.c.event_name).order_by("seq"))).scalars().all()
        waiting = (await tx.execute(sa.select(sa.func.count()).select_from(tables.outbox.table))).scalar_one()
    assert (stored, waiting) == (["event0", "event1", "event2"], 0)
    await channel.close()
    await db.close()


async def test_a_receiver_that_hangs_holds_up_its_own_topic_only(lonely_url: str) -> None:
    db = Database(lonely_url, pool_size=4)
    outbox = tables.outbox
    arrived = asyncio.Event()

    async def hangs(_messages: list[Message]) -> None:
        await asyncio.Event().wait()

    async def arrives(_messages: list[Message]) -> None:
        arrived.set()

    async with db.transaction() as tx:
        await outbox.emit(tx, "first", {})
        await outbox.emit(tx, "second", {})
    relay = asyncio.create_task(outbox.relay(db, {"first": hangs, "second": arrives}))
    try:
        await asyncio.wait_for(arrived.wait(), 60)
        # Also what is written while the first delivery is under way.
        arrived.clear()
        async with db.transaction() as tx:
            await outbox.emit(tx, "second", {})
        await asyncio.wait_for(arrived.wait(), 60)
        assert await outbox.delivered(db, "second", {}, within=60)
        assert not await outbox.delivered(db, "first", {}, within=0.1)
    finally:
        relay.cancel()
        await asyncio.wait([relay])
    async with db.transaction() as tx:
        await tx.execute(tables.outbox.table.delete())
    await db.close()


@pytest.mark.parametrize("kind", ["transaction", "prepared", "one_transaction"])
async def test_a_message_is_delivered_at_once_when_it_is_committed(
    lonely_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # So that it is not found by chance.
    monkeypatch.setattr(outboxes, "_POLL_SECONDS", 600)
    db, beside = Database(lonely_url, pool_size=4), Database(lonely_url, pool_size=1)
    outbox = tables.outbox
    arrived = asyncio.Event()

    async def arrives(_messages: list[Message]) -> None:
        arrived.set()

    relay = asyncio.create_task(outbox.relay(db, {kind: arrives}))
    try:
        for _ in range(2):
            arrived.clear()
            async with getattr(db, kind)() as tx:
                await outbox.emit(tx, kind, {})
                # Who looks now looks too early.
                assert await outbox.deliver_due(beside, kind, arrives) == 0
            await asyncio.wait_for(arrived.wait(), 60)
            assert await outbox.delivered(db, kind, {}, within=60)
    finally:
        relay.cancel()
        await asyncio.wait([relay])
        await beside.close()
        await db.close()


async def test_who_waits_for_a_delivery_learns_at_once_that_it_failed(lonely_url: str) -> None:
    db = Database(lonely_url, pool_size=2)
    outbox = tables.outbox

    async def refuses(_messages: list[Message]) -> None:
        raise ConnectionError("away")

    async with db.transaction() as tx:
        await outbox.emit(tx, "refused", {"name": "A"})
    waiting = asyncio.create_task(outbox.delivered(db, "refused", {"name": "A"}, within=600))
    assert await outbox.deliver_due(db, "refused", refuses) == 1
    assert await asyncio.wait_for(waiting, 60) is False
    async with db.transaction() as tx:
        await tx.execute(tables.outbox.table.delete())
    await db.close()


async def test_a_process_that_ends_leaves_what_it_was_delivering_to_the_others(lonely_url: str) -> None:
    db = Database(lonely_url, pool_size=2)
    outbox = tables.outbox
    under_way, delivered = asyncio.Event(), []

    async def hangs(_messages: list[Message]) -> None:
        under_way.set()
        await asyncio.Event().wait()

    async def arrives(messages: list[Message]) -> None:
        delivered.extend(messages)

    async with db.transaction() as tx:
        await outbox.emit(tx, "left", {})
    ending = asyncio.create_task(outbox.deliver_due(db, "left", hangs))
    await asyncio.wait_for(under_way.wait(), 60)
    assert await outbox.deliver_due(db, "left", arrives) == 0, "it is the other's"
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert await outbox.deliver_due(db, "left", arrives) == len(delivered) == 1
    await db.close()


@pytest.fixture
async def entries(auth_url: str) -> None:
    texts = ("event_name", "resource_type", "resource_id", "resource_name", "grid_id", "grid", "service_id")
    names = ("event_id", "time", *texts, "user_id", "user_email", "source_ip", "user_agent")
    values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    connection = await asyncpg.connect(auth_url)
    await connection.execute("delete from auth.audit_logs")
    time = await connection.fetchval("select timestamptz '2026-01-02T03:04:05.678912Z'")
    rows = [
        (
            f"e{number}",
            time,
            f"event{number}",
            "Grid",
            "id",
            "name" if number else "",
            grid_id,
            name,
            "",
            "u",
            "u@x",
            "",
            "",
        )
        for number, (grid_id, name) in enumerate([(ALPHA, "alpha"), (BETA, "beta"), (GONE, "gone"), (ALPHA, "alpha")])
    ]
    await connection.executemany(f"insert into auth.audit_logs ({', '.join(names)}) values ({values})", rows)  # noqa: S608
    await connection.close()


@pytest.mark.usefixtures("entries")
async def test_entries_are_shown_oldest_first(admin: AuthClient) -> None:
    logs = [log for log in await listed(admin) if log.user_identity.email == "u@x"]
    assert [log.event_name for log in logs] == ["event0", "event1", "event2", "event3"]
    assert [log.id for log in logs] == sorted(log.id for log in logs)
    assert logs[0].time.ToJsonString() == "2026-01-02T03:04:05.678Z"
    assert not logs[0].HasField("resource_name")
    assert not logs[0].HasField("user_agent")
    assert (logs[2].grid, logs[2].HasField("grid_id")) == ("gone", False)
    assert (logs[3].grid, logs[3].grid_id) == ("alpha", ALPHA)
    older = await listed(admin, before=logs[2].id, limit="1")
    assert [log.event_name for log in older] == ["event1"]


@pytest.mark.usefixtures("entries")
async def test_a_grid_shows_its_own_entries(admin: AuthClient, bob: AuthClient) -> None:
    request = pb.ListGridAuditLogsRequest(grid="alpha")
    answer = await admin.call(AuditLogServiceStub, "ListGridAuditLogs", request)
    assert [log.event_name for log in answer.logs] == ["event0", "event3"]
    assert (await refused(bob.call(AuditLogServiceStub, "ListGridAuditLogs", request)))[0] == 403
    unknown = pb.ListGridAuditLogsRequest(grid="nope")
    assert (await refused(admin.call(AuditLogServiceStub, "ListGridAuditLogs", unknown)))[0] == 404


@pytest.mark.usefixtures("entries")
async def test_entries_are_kept_as_long_as_the_operator_says(
    auth_url: str, admin: AuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_retention, "_BATCH", 2)
    db = Database(auth_url, pool_size=1)
    async with db.transaction() as tx:
        await tx.execute(sa.text("update auth.audit_logs set time = now() - interval '29 days' where event_id = 'e1'"))
    try:
        await audit_retention.forget_old_entries(db, timedelta(days=30))
    finally:
        await db.close()
    assert [log.event_name for log in await listed(admin) if log.user_identity.email == "u@x"] == ["event1"]
