"""Tokens that were minted with tokens, and tokens that give less than their owner has."""

import asyncio
from typing import Any

import grpc
import pytest

from kontena.auth.v1 import introspection_pb2 as pb
from kontena.auth.v1.config_pb2 import GetConfigRequest
from kontena.auth.v1.config_pb2_grpc import ConfigServiceStub
from kontena.auth.v1.introspection_pb2_grpc import IntrospectionServiceStub
from services.auth_svc.usecases.administration import Administration
from tests.integration.auth_svc.auth_client import AuthClient, refused
from tests.integration.auth_svc.grid_stand_in import ALPHA, BETA
from tests.support.running import Running, service_metadata

DAY = {"expires_in": "86400"}


async def mint(client: AuthClient, scope: str = "user", **more: Any) -> dict[str, Any]:
    made = await client.authorize({"response_type": "token", "scope": scope, **more})
    assert made.status == 201, made.data
    return made.json


async def principal(auth: Running, token: str) -> Any:
    stub: Any = IntrospectionServiceStub(auth.channel)
    return (await stub.IntrospectToken(pb.IntrospectTokenRequest(token=token), metadata=service_metadata())).principal


async def test_what_a_token_minted_ends_with_it(admin: AuthClient, bob: AuthClient, anonymous: AuthClient) -> None:
    """A stolen token buys nothing that lasts: not for its owner, not for others, not through codes or refreshing."""
    stolen = await mint(bob)
    thief = anonymous.with_token(stolen["access_token"])
    children = [await mint(thief), await mint(thief, "owner,user", **DAY), await mint(thief, "read")]
    code = (await thief.authorize({"response_type": "code", "scope": "user"})).json["code"]
    spent = (await thief.authorize({"response_type": "code", "scope": "user", **DAY})).json["code"]
    children.append((await anonymous.redeem(spent)).json)
    children.append((await anonymous.refresh(children[1]["refresh_token"])).json)
    grandchild = await mint(anonymous.with_token(children[-1]["access_token"]))
    alive = [anonymous.with_token(child["access_token"]) for child in (*children[:1], *children[2:], grandchild)]
    assert all([await one.works() for one in alive])

    await bob.delete_token(stolen["id"])
    assert not any([await one.works() for one in alive])
    assert (await anonymous.redeem(code)).status == 400
    for child in children:
        if child.get("refresh_token"):
            assert (await anonymous.refresh(child["refresh_token"])).status == 400
    assert await bob.works()
    assert await admin.works()


async def test_tokens_for_others_end_with_the_administrators(
    admin: AuthClient, bob: AuthClient, anonymous: AuthClient
) -> None:
    session = await mint(admin)
    own = await bob.tokens()
    given = await mint(anonymous.with_token(session["access_token"]), user="bob@x.org")
    await admin.delete_token(session["id"])
    assert not await anonymous.with_token(given["access_token"]).works()
    assert [token.id for token in await bob.tokens()] == [token.id for token in own]


async def test_refreshing_keeps_what_was_minted_and_a_used_refresh_token_ends_it(
    bob: AuthClient, anonymous: AuthClient
) -> None:
    parent = await mint(bob, **DAY)
    child = anonymous.with_token((await mint(anonymous.with_token(parent["access_token"])))["access_token"])
    assert (await anonymous.refresh(parent["refresh_token"])).status == 200
    assert await child.works()
    assert (await anonymous.refresh(parent["refresh_token"])).status == 400
    assert not await child.works()


async def test_minting_while_the_token_is_deleted_leaves_nothing(bob: AuthClient, anonymous: AuthClient) -> None:
    for _ in range(5):
        parent = await mint(bob)
        thief = anonymous.with_token(parent["access_token"])
        tries = [thief.authorize({"response_type": "token", "scope": "user"}) for _ in range(8)]
        made, _ = await asyncio.gather(asyncio.gather(*tries), bob.delete_token(parent["id"]))
        assert {reply.status for reply in made} <= {201, 401}
        left = [anonymous.with_token(reply.json["access_token"]) for reply in made if reply.status == 201]
        assert not any([await one.works() for one in left])


async def test_a_token_that_reads_changes_and_mints_nothing(
    auth: Running, admin: AuthClient, anonymous: AuthClient
) -> None:
    made = await mint(admin, "read", **DAY)
    # Its time is its time.
    assert (made["scopes"], made.get("refresh_token")) == ("read", None)
    reader = anonymous.with_token(made["access_token"])
    assert (await reader.user()).email == "admin"
    for body in ({"response_type": "token", "scope": "user"}, {"response_type": "invite", "email": "x@y.org"}):
        denied = await reader.authorize(body)
        assert (denied.status, "scope read" in denied.json["error"]) == (403, True)
    with pytest.raises(grpc.aio.AioRpcError, match="scope read"):
        await reader.delete_token(made["id"])
    # What it could read of the configuration is secret.
    assert (await refused(reader.call(ConfigServiceStub, "GetConfig", GetConfigRequest())))[0] == 403
    assert list((await principal(auth, made["access_token"])).scopes) == ["read"]


async def test_a_token_of_a_grid_is_of_that_grid_only(
    auth: Running, admin: AuthClient, anonymous: AuthClient, offline: Administration
) -> None:
    await offline.create_user("ann@x.org", ["grid_admin", "user_admin"], [ALPHA, BETA])
    ann = anonymous.with_token(await offline.create_token("ann@x.org", "user", "0"))
    for caller in (admin, ann):
        made = await mint(caller, "grid:alpha:deploy", **DAY)
        assert made.get("refresh_token") is None
        found = await principal(auth, made["access_token"])
        assert (list(found.scopes), list(found.roles), list(found.grid_ids)) == (["grid:alpha:deploy"], [], [ALPHA])
        denied = await anonymous.with_token(made["access_token"]).authorize({"response_type": "token", "scope": "user"})
        assert denied.status == 403
    assert (await principal(auth, await offline.create_token("ann@x.org", "grid:beta:deploy", "60"))).grid_ids == [BETA]


@pytest.mark.parametrize(
    ("scope", "more"),
    [
        ("grid:alpha:deploy", {}),
        ("grid:alpha:deploy", {"expires_in": "0"}),
        ("grid:alpha:deploy", {"expires_in": "99999999"}),
        ("grid:nowhere:deploy", DAY),
        ("grid:beta:deploy", DAY),
        ("grid:alpha:destroy", DAY),
        ("grid:alpha:deploy,user", DAY),
        ("read,user", DAY),
        ("grid::deploy", DAY),
        ("admin", DAY),
    ],
)
async def test_scopes_that_are_refused(
    anonymous: AuthClient, offline: Administration, scope: str, more: dict[str, str]
) -> None:
    await offline.create_user("ann@x.org", grid_ids=[ALPHA])
    ann = anonymous.with_token(await offline.create_token("ann@x.org", "user", "0"))
    assert (await ann.authorize({"response_type": "token", "scope": scope, **more})).status == 400
