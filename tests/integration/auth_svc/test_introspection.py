"""Introspection, and invalidations that cross replicas."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import pytest

from kontena.auth.v1 import introspection_pb2 as pb
from kontena.auth.v1 import membership_pb2
from kontena.auth.v1.introspection_pb2_grpc import IntrospectionServiceStub
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceStub
from services.auth_svc.app import build
from services.auth_svc.usecases.administration import Administration
from services.clients import introspection as introspection_client
from services.clients.introspection import Introspection
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import Unauthenticated
from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.auth_svc.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running, running, service_metadata

GRID = "a" * 24
TOKEN = {"response_type": "token", "scope": "user"}


@pytest.fixture(autouse=True)
def _kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the watch, what is cached would be good for as long as this."""
    monkeypatch.setattr(introspection_client, "_KEEP_SECONDS", 600.0)


@pytest.fixture(scope="session")
async def second_replica(auth: Running, auth_settings: MakeSettings) -> AsyncIterator[Running]:
    async with running(partial(build, auth_settings())) as served:
        yield served


@asynccontextmanager
async def following(replica: Running) -> AsyncIterator[Introspection]:
    """What another service has: the client, its cache and the watch that keeps it right."""
    channel = ServiceChannel(replica.address, ClusterTokens(CLUSTER_SECRET), "grid_svc")
    introspection = Introspection(channel)
    watch = asyncio.create_task(introspection.watch())
    try:
        yield introspection
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await channel.close()


async def _introspect(replica: Running, token: str) -> pb.IntrospectTokenResponse:
    stub = IntrospectionServiceStub(replica.channel)
    response: pb.IntrospectTokenResponse = await stub.IntrospectToken(
        pb.IntrospectTokenRequest(token=token), metadata=service_metadata()
    )
    return response


async def test_a_principal_has_all_that_authorization_needs(
    auth: Running, admin: AuthClient, offline: Administration
) -> None:
    eve = await offline.create_user("eve@x.org", ["viewer", "grid_admin"], [GRID])
    made = (await admin.authorize(TOKEN | {"user": "eve@x.org", "scope": "user,owner", "expires_in": 60})).json
    principal = (await _introspect(auth, made["access_token"])).principal
    assert (principal.user_id, principal.email, principal.token_id) == (eve.id, "eve@x.org", made["id"])
    assert list(principal.roles) == ["grid_admin", "viewer"]
    assert list(principal.grid_ids) == [GRID]
    assert list(principal.scopes) == ["owner", "user"]
    assert 50 < principal.expires_at.seconds - time.time() <= 60


async def test_unknown_tokens_have_no_principal(auth: Running) -> None:
    for token in ("", "unknown", "\u20ac\u0000"):
        response = await _introspect(auth, token)
        assert not response.HasField("principal")
        assert not response.expired


async def test_internal_services_need_a_cluster_token(auth: Running, admin: AuthClient) -> None:
    made = (await admin.authorize(TOKEN)).json["access_token"]
    stub = IntrospectionServiceStub(auth.channel)
    for metadata in ((), (("authorization", f"Bearer {made}"),)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.IntrospectToken(pb.IntrospectTokenRequest(token=made), metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_revoked_on_one_replica_is_soon_refused_by_the_other(
    second_replica: Running, admin: AuthClient
) -> None:
    made = (await admin.authorize(TOKEN)).json["access_token"]
    client = AuthClient(second_replica.channel, made)
    async with following(second_replica) as introspection:
        assert await client.works()
        await _settled(introspection, made)
        await admin.delete_token(made)
        await eventually(partial(_refused, introspection, made))
        assert not await client.works()


@pytest.mark.parametrize("event", ["refresh", "reuse"])
async def test_rotation_reaches_the_other_replica(
    second_replica: Running, admin: AuthClient, anonymous: AuthClient, event: str
) -> None:
    made = (await admin.authorize(TOKEN | {"expires_in": 600})).json
    watched = made["access_token"]
    if event == "reuse":
        watched = (await anonymous.refresh(made["refresh_token"])).json["access_token"]
    async with following(second_replica) as introspection:
        await _settled(introspection, watched)
        await anonymous.refresh(made["refresh_token"])
        await eventually(partial(_refused, introspection, watched))


async def test_memberships_reach_cached_principals_of_the_other_replica(
    auth: Running, second_replica: Running, bob: AuthClient
) -> None:
    token = (await bob.authorize(TOKEN)).json["access_token"]
    user_id = (await bob.user()).id
    stub = GridMembershipServiceStub(auth.channel)
    async with following(second_replica) as introspection:
        await _settled(introspection, token)

        async def member(grids: frozenset[str]) -> bool:
            return (await introspection.resolve(token)).grid_ids == grids

        assert await member(frozenset())
        request = membership_pb2.AddGridMemberRequest(grid_id=GRID, user_id=user_id)
        await stub.AddGridMember(request, metadata=service_metadata())
        await eventually(partial(member, frozenset({GRID})))
        await stub.RemoveGrid(membership_pb2.RemoveGridRequest(grid_id=GRID), metadata=service_metadata())
        await eventually(partial(member, frozenset()))


async def test_the_stream_starts_live_and_names_changed_users(auth: Running, admin: AuthClient) -> None:
    stub = IntrospectionServiceStub(auth.channel)
    stream: Any = stub.WatchInvalidations(pb.WatchInvalidationsRequest(), metadata=service_metadata())
    assert (await stream.read()).user_id == ""
    admin_id = (await admin.user()).id
    await admin.delete_token((await admin.authorize(TOKEN)).json["id"])

    async def named() -> bool:
        return bool((await stream.read()).user_id == admin_id)

    assert await eventually(named)
    stream.cancel()


async def _settled(introspection: Introspection, token: str) -> None:
    """The principal is in the cache, whatever invalidations of the set-up are still on their way."""

    async def cached() -> bool:
        first = await introspection.resolve(token)
        return await introspection.resolve(token) is first

    await eventually(cached, message="the principal is cached")


async def _refused(introspection: Introspection, token: str) -> bool:
    try:
        await introspection.resolve(token)
    except Unauthenticated:
        return True
    return False
