"""GridMembershipService and AuditIngestService, as the other services call them."""

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
import sqlalchemy as sa

from kontena.auth.v1 import audit_pb2
from kontena.auth.v1 import membership_pb2 as pb
from kontena.auth.v1.audit_pb2_grpc import AuditIngestServiceStub
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceStub
from services.auth_svc.usecases.administration import Administration
from services.auth_svc.usecases.memberships import Memberships
from services.kernel.db import Database
from services.kernel.listen import Listener
from services.kernel.watch import Watch
from tests.support.running import Running, service_metadata

GRIDS = [letter * 24 for letter in "abc"]


@pytest.fixture
def memberships(auth: Running) -> Any:
    return GridMembershipServiceStub(auth.channel)


async def _add(memberships: Any, grid_id: str, user_id: str) -> None:
    request = pb.AddGridMemberRequest(grid_id=grid_id, user_id=user_id)
    await memberships.AddGridMember(request, metadata=service_metadata())


async def _counts(memberships: Any) -> dict[str, int]:
    request = pb.CountGridMembersRequest(grid_ids=GRIDS)
    return dict((await memberships.CountGridMembers(request, metadata=service_metadata())).user_counts)


async def test_members_are_added_counted_and_removed(memberships: Any, offline: Administration) -> None:
    first, second = await offline.create_user("a@x.org"), await offline.create_user("b@x.org")
    for _ in range(2):
        await _add(memberships, GRIDS[0], first.id)
        await _add(memberships, GRIDS[0], second.id)
        await _add(memberships, GRIDS[1], second.id)
    assert await _counts(memberships) == {GRIDS[0]: 2, GRIDS[1]: 1}
    for _ in range(2):
        await memberships.RemoveGrid(pb.RemoveGridRequest(grid_id=GRIDS[0]), metadata=service_metadata())
    assert await _counts(memberships) == {GRIDS[1]: 1}


async def test_members_are_followed(memberships: Any, offline: Administration) -> None:
    user = await offline.create_user("followed@x.org")
    await _add(memberships, GRIDS[0], user.id)
    watch = memberships.WatchGridMembers(pb.WatchGridMembersRequest(), metadata=service_metadata())
    counts: dict[str, int] = {}

    async def until(wanted: dict[str, int]) -> None:
        async with asyncio.timeout(30):
            while counts != wanted:
                event = await watch.read()
                if event.HasField("upserted"):
                    counts[event.upserted.grid_id] = event.upserted.user_count
                counts.pop(event.deleted, None)

    await until({GRIDS[0]: 1})
    await _add(memberships, GRIDS[1], user.id)
    await until({GRIDS[0]: 1, GRIDS[1]: 1})
    await memberships.RemoveGrid(pb.RemoveGridRequest(grid_id=GRIDS[0]), metadata=service_metadata())
    await until({GRIDS[1]: 1})
    watch.cancel()


async def test_unknown_users_and_broken_ids_are_refused(memberships: Any) -> None:
    for grid_id, user_id, code in (
        (GRIDS[0], "0" * 24, grpc.StatusCode.NOT_FOUND),
        ("\u0000", "0" * 24, grpc.StatusCode.INVALID_ARGUMENT),
        (GRIDS[0], "x" * 25, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _add(memberships, grid_id, user_id)
        assert refused.value.code() is code


async def test_counting_takes_one_query_however_many_grids(auth_url: str) -> None:
    db = Database(auth_url, pool_size=1)
    statements: list[str] = []
    await db.ping()

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(db.engine.sync_engine, "before_cursor_execute", count)
    memberships = Memberships(db, Watch(db, Listener(auth_url, []), 60))
    assert await memberships.count([f"{n:024x}" for n in range(500)]) == {}
    assert await memberships.count([]) == {}
    await db.close()
    assert len(statements) == 1


async def test_audit_events_are_stored_once(auth: Running, auth_url: str) -> None:
    stub = AuditIngestServiceStub(auth.channel)
    event = audit_pb2.AuditEvent(
        id="e1", event_name="create", resource_type="Grid", resource_name="de\u0000mo", grid="demo", user_email="admin"
    )
    event.time.FromJsonString("2026-01-02T03:04:05.678Z")
    other = audit_pb2.AuditEvent(id="e2", event_name="delete", resource_type="Grid")
    for events in ([event, event], [event, other], []):
        await stub.RecordAuditEvents(audit_pb2.RecordAuditEventsRequest(events=events), metadata=service_metadata())
    connection = await asyncpg.connect(auth_url)
    rows = await connection.fetch("select * from auth.audit_logs where resource_type = 'Grid' order by seq")
    await connection.close()
    assert [(row["event_id"], row["event_name"]) for row in rows] == [("e1", "create"), ("e2", "delete")]
    assert (rows[0]["resource_name"], rows[0]["grid"], rows[0]["user_email"]) == ("de\ufffdmo", "demo", "admin")
    assert rows[0]["time"].isoformat() == "2026-01-02T03:04:05.678000+00:00"
