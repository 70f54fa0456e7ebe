"""Invitations: what an old one, a copied one, or one for somebody who got on meanwhile is worth."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from kontena.auth.v1 import grid_user_pb2, user_pb2
from kontena.auth.v1.grid_user_pb2_grpc import GridUserServiceStub
from kontena.auth.v1.user_pb2_grpc import UserServiceStub
from services.auth_svc.usecases.administration import Administration
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.grid_stand_in import ALPHA, BETA
from tests.integration.auth_svc.login_steps import cookie_of, log_in, state_of, token_of
from tests.support.provider import StandIn

NEW = "new@x.org"
Attack = Callable[[AuthClient, AuthClient], Awaitable[None]]


@pytest.fixture
async def keeper(offline: Administration, anonymous: AuthClient) -> AuthClient:
    """A user_admin with a grid."""
    await offline.create_user("keeper@x.org", ["user_admin"], [ALPHA])
    return anonymous.with_token(await offline.create_token("keeper@x.org", "user", "0"))


async def assign(client: AuthClient, role: str, email: str = NEW) -> Any:
    return await client.call(UserServiceStub, "AssignRole", user_pb2.AssignRoleRequest(email=email, role=role))


async def add_to_grid(client: AuthClient, grid: str, email: str = NEW) -> Any:
    request = grid_user_pb2.AddGridUserRequest(grid=grid, email=email)
    return await client.call(GridUserServiceStub, "AddGridUser", request)


async def delete(client: AuthClient, email: str) -> Any:
    return await client.call(UserServiceStub, "DeleteUser", user_pb2.DeleteUserRequest(email=email))


@pytest.mark.parametrize("right", ["role", "grid"])
@pytest.mark.usefixtures("provider")
async def test_an_invitation_that_was_kept_dies_when_its_account_gets_on(
    admin: AuthClient, keeper: AuthClient, anonymous: AuthClient, right: str
) -> None:
    """The way from user_admin to master_admin: invite somebody, keep the code, wait until they are made one."""
    kept = (await keeper.invite(NEW)).json["invite_code"]
    begun = await anonymous.begin_login(redirect_uri="/code", invite_code=kept)
    await (assign(admin, "master_admin") if right == "role" else add_to_grid(admin, "beta"))
    late = await anonymous.begin_login(redirect_uri="/code", invite_code=kept)
    assert (late.status, late.json["error_description"]) == (403, "Invalid invite code")
    # Neither does a login that was begun before.
    ended = await anonymous.end_login(state=state_of(begun), code="c", cookie=cookie_of(begun))
    assert (ended.status, "invitation" in ended.json["error_description"]) == (403, True)
    # And there is no new one from somebody below.
    assert (await keeper.invite(NEW)).status == 403
    assert (await admin.invite(NEW)).status == 201


@pytest.mark.usefixtures("provider")
async def test_who_invites_may_give_what_is_theirs_to_give(admin: AuthClient, anonymous: AuthClient) -> None:
    """The public CLI invites and then assigns roles: that invitation goes on."""
    code = (await admin.invite(NEW)).json["invite_code"]
    await assign(admin, "grid_admin")
    await add_to_grid(admin, "alpha")
    await token_of(anonymous, await log_in(anonymous, invite_code=code))


@pytest.mark.usefixtures("provider")
async def test_an_invitation_is_for_one_login_however_many_were_begun(
    admin: AuthClient, anonymous: AuthClient, provider: StandIn
) -> None:
    code = (await admin.invite(NEW)).json["invite_code"]
    begun = [await anonymous.begin_login(redirect_uri="/code", invite_code=code) for _ in range(6)]
    people = iter(range(100, 200))

    async def end(one: Any) -> int:
        provider.says({"id": next(people), "login": "somebody"})
        return (await anonymous.end_login(state=state_of(one), code="c", cookie=cookie_of(one))).status

    statuses = sorted(await asyncio.gather(*map(end, begun)))
    assert statuses == [302, 403, 403, 403, 403, 403]


@pytest.mark.usefixtures("provider")
async def test_an_invitation_ends_by_itself(admin: AuthClient, anonymous: AuthClient, auth_url: str) -> None:
    code = (await admin.invite(NEW)).json["invite_code"]
    connection = await asyncpg.connect(auth_url)
    left = await connection.fetchval(
        "select extract(hours from invite_expires_at - now()) + 24 * extract(days from "
        "invite_expires_at - now()) from auth.users where email = $1",
        NEW,
    )
    assert 71 <= left <= 72
    begun = await anonymous.begin_login(redirect_uri="/code", invite_code=code)
    await connection.execute("update auth.users set invite_expires_at = now() - interval '1 s' where email = $1", NEW)
    assert (await anonymous.begin_login(redirect_uri="/code", invite_code=code)).status == 403
    late = await anonymous.end_login(state=state_of(begun), code="c", cookie=cookie_of(begun))
    assert late.status == 403
    # One that a replica of the release before made has no end, and does not count.
    again = (await admin.invite(NEW)).json["invite_code"]
    await connection.execute("update auth.users set invite_expires_at = null")
    await connection.close()
    assert (await anonymous.begin_login(redirect_uri="/code", invite_code=again)).status == 403


@pytest.mark.usefixtures("provider")
async def test_an_account_that_has_a_login_is_taken_over_by_nobody(
    admin: AuthClient, keeper: AuthClient, anonymous: AuthClient, provider: StandIn
) -> None:
    await token_of(anonymous, await log_in(anonymous, invite_code=(await keeper.invite(NEW)).json["invite_code"]))
    assert (await keeper.invite(NEW)).status == 403
    # A master_admin can give the account to another login: somebody lost theirs.
    provider.says({"id": "other", "login": "new"})
    code = (await admin.invite(NEW)).json["invite_code"]
    await token_of(anonymous, await log_in(anonymous, invite_code=code))


async def test_nobody_removes_whoever_has_more_rights(
    admin: AuthClient, keeper: AuthClient, offline: Administration
) -> None:
    await offline.create_user("boss@x.org", ["master_admin"])
    await offline.create_user("gridder@x.org", ["grid_admin"], [ALPHA, BETA])
    await offline.create_user("looker@x.org", ["viewer"])
    for email in ("boss@x.org", "gridder@x.org", "admin"):
        assert await refused(delete(keeper, email)) == (400, {"error": {"user": "Operation not allowed"}})
    # Out of a grid neither, as long as they are not its admin themselves.
    request = grid_user_pb2.RemoveGridUserRequest(grid="alpha", email="gridder@x.org")
    status, body = await refused(keeper.call(GridUserServiceStub, "RemoveGridUser", request))
    assert (status, body) == (422, {"error": {"grid": "Operation not allowed"}})
    await delete(keeper, "looker@x.org")
    await delete(admin, "gridder@x.org")


@pytest.mark.usefixtures("provider")
async def test_a_login_is_ended_by_the_browser_that_began_it(
    admin: AuthClient, anonymous: AuthClient, provider: StandIn
) -> None:
    """Somebody who makes others open their callback logs those in as themselves, or gets their account."""
    await token_of(anonymous, await log_in(anonymous, invite_code=(await admin.invite(NEW)).json["invite_code"]))
    for cookie in ("", "kontena_login_00000000=1", "x"):
        begun = await anonymous.begin_login(redirect_uri="http://localhost:5000/cb")
        other = await anonymous.begin_login(redirect_uri="http://localhost:5000/cb")
        stolen = {"": "", "x": cookie_of(other)}.get(cookie, cookie)
        found = await anonymous.end_login(state=state_of(begun), code="c", cookie=stolen)
        assert (found.status, "another browser" in found.json["error_description"]) == (403, True)
        # The state is spent.
        late = await anonymous.end_login(state=state_of(begun), code="c", cookie=cookie_of(begun))
        assert late.status == 400
    begun = await anonymous.begin_login(redirect_uri="http://localhost:5000/cb")
    for word in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/a/cb"):
        assert word in begun.headers["set-cookie"]
    found = await anonymous.end_login(state=state_of(begun), code="c", cookie=f"a=b; {cookie_of(begun)}; c=d")
    assert found.status == 302
    assert "Max-Age=0" in found.headers["set-cookie"]
    assert provider.asked
