"""Accounts and members under concurrency: somebody always stays in charge."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import grpc
import pytest
import sqlalchemy as sa

from kontena.auth.v1 import grid_user_pb2, user_pb2
from kontena.auth.v1.grid_user_pb2_grpc import GridUserServiceStub
from kontena.auth.v1.user_pb2_grpc import UserServiceStub
from services.auth_svc.store import users
from services.auth_svc.usecases.administration import Administration
from services.kernel.db import Database
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.grid_stand_in import ALPHA
from tests.support.eventually import eventually


async def unassign(client: AuthClient, email: str, role: str = "master_admin") -> Any:
    return await client.call(UserServiceStub, "UnassignRole", user_pb2.UnassignRoleRequest(email=email, role=role))


async def delete(client: AuthClient, email: str) -> Any:
    return await client.call(UserServiceStub, "DeleteUser", user_pb2.DeleteUserRequest(email=email))


async def remove_member(client: AuthClient, email: str, grid: str = "alpha") -> Any:
    request = grid_user_pb2.RemoveGridUserRequest(grid=grid, email=email)
    return await client.call(GridUserServiceStub, "RemoveGridUser", request)


async def test_one_master_admin_stays_however_many_try(admin: AuthClient, offline: Administration) -> None:
    names = [f"boss{number}@x.org" for number in range(6)]
    for name in names:
        await offline.create_user(name, ["master_admin"])
    attempts = [unassign(admin, name) for name in ("admin", *names[:3])] + [delete(admin, name) for name in names[3:]]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert Counter(isinstance(answer, grpc.aio.AioRpcError) for answer in answers) == {False: 6, True: 1}
    found = await offline.list_users()
    assert sum("master_admin" in [role.name for role in user.roles] for user in found) == 1


async def test_one_member_stays_however_many_try(admin: AuthClient, offline: Administration) -> None:
    names = [f"m{number}@x.org" for number in range(5)]
    for name in names:
        await offline.create_user(name, grid_ids=[ALPHA])
    answers = await asyncio.gather(*(remove_member(admin, name) for name in names), return_exceptions=True)
    assert Counter(isinstance(answer, grpc.aio.AioRpcError) for answer in answers) == {False: 4, True: 1}


async def test_a_deleted_user_is_gone_with_everything(
    admin: AuthClient, bob: AuthClient, offline: Administration, auth_url: str
) -> None:
    await bob.authorize({"response_type": "code", "scope": "user"})
    await delete(admin, " bob@x.org ")
    assert not await bob.works()
    connection = await asyncpg.connect(auth_url)
    rows = await connection.fetch("select user_email, event_name from auth.audit_logs where user_email = 'bob@x.org'")
    assert await connection.fetchval("select count(*) from auth.access_tokens t join auth.users u on u.id = t.user_id "
                                     "where u.email = 'bob@x.org'") == 0  # fmt: skip
    await connection.close()
    assert [tuple(row) for row in rows] in ([], [("bob@x.org", "create")])
    assert (await refused(delete(admin, "bob@x.org")))[0] == 404


async def test_roles_change_what_a_token_may_do_at_once(admin: AuthClient, bob: AuthClient) -> None:
    listing = user_pb2.ListUsersRequest()
    assert (await refused(bob.call(UserServiceStub, "ListUsers", listing)))[0] == 403
    request = user_pb2.AssignRoleRequest(email="bob@x.org", role="user_admin")
    for _ in range(2):
        user = await admin.call(UserServiceStub, "AssignRole", request)
        assert [role.name for role in user.roles] == ["user_admin"]
    assert len((await bob.call(UserServiceStub, "ListUsers", listing)).users) == 2
    for _ in range(2):
        assert not (await unassign(admin, "bob@x.org", "user_admin")).roles
    assert (await refused(bob.call(UserServiceStub, "ListUsers", listing)))[0] == 403


async def test_membership_counts_at_once_and_is_audited_with_its_grid(
    admin: AuthClient, bob: AuthClient, auth_url: str
) -> None:
    listing = grid_user_pb2.ListGridUsersRequest(grid="alpha")
    assert (await refused(bob.call(GridUserServiceStub, "ListGridUsers", listing)))[0] == 403
    for email in ("bob@x.org", "admin", "bob@x.org"):
        request = grid_user_pb2.AddGridUserRequest(grid="alpha", email=email)
        await admin.call(GridUserServiceStub, "AddGridUser", request)
    found = await bob.call(GridUserServiceStub, "ListGridUsers", listing)
    assert [user.email for user in found.users] == ["admin", "bob@x.org"]
    await remove_member(admin, "bob@x.org")
    query = "select event_name, resource_name, grid_id, grid from auth.audit_logs where grid <> ''"

    async def recorded() -> bool:
        connection = await asyncpg.connect(auth_url)
        rows = [tuple(row) for row in await connection.fetch(query)]
        await connection.close()
        # Several replicas tell, each what it takes in turn.
        events = [("assign user", "admin"), ("assign user", "bob@x.org"), ("unassign user", "bob@x.org")]
        return sorted(rows) == [(*event, ALPHA, "alpha") for event in events]

    await eventually(recorded)


@pytest.mark.parametrize("email", ["\0", "\ud7ff\u0000x", "x" * 5000])
async def test_strange_names_are_unknown(admin: AuthClient, email: str) -> None:
    assert (await refused(delete(admin, email)))[0] == 404
    assert (await refused(unassign(admin, email)))[0] == 404
    assert (await refused(remove_member(admin, email)))[0] == 404


async def test_lists_take_one_query_however_many_users(auth_url: str, offline: Administration) -> None:
    for number in range(20):
        await offline.create_user(f"u{number}@x.org", ["viewer", "grid_admin"], [ALPHA])
    db = Database(auth_url, pool_size=1)
    await db.ping()
    statements: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(db.engine.sync_engine, "before_cursor_execute", count)
    async with db.read() as tx:
        assert len(await users.find_all(tx)) == 21
        assert len(await users.of_grid(tx, ALPHA)) == 20
    await db.close()
    assert len(statements) == 2
