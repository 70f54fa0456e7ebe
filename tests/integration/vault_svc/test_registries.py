from collections.abc import Callable

import asyncpg
import grpc
import pytest

from kontena.vault.v1 import registry_delivery_pb2 as delivery_pb
from kontena.vault.v1 import registry_delivery_pb2_grpc
from services.clients.registries import RegistryCredentials, RegistryResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.json_caller import Answer, JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running

BOT = {"url": "https://registry.domain.com/", "username": "a_bot", "email": "a_bot@domain.com", "password": "xyz123"}
SHOWN = {
    "id": "alpha/registry.domain.com",
    "name": "registry.domain.com",
    "url": "https://registry.domain.com/",
    "username": "a_bot",
    "email": "a_bot@domain.com",
}
LIST, CREATE, GET, DELETE, DELETE_IN_GRID = (
    f"ExternalRegistryService.{name}"
    for name in (
        "ListExternalRegistries",
        "CreateExternalRegistry",
        "GetExternalRegistry",
        "DeleteExternalRegistry",
        "DeleteGridExternalRegistry",
    )
)


async def test_the_documented_requests(vault_api: JsonCaller) -> None:
    assert await _plain(vault_api.call(CREATE, grid="alpha", **BOT)) == (201, SHOWN)
    assert await _plain(vault_api.call(LIST, grid="alpha")) == (200, {"external_registries": [SHOWN]})
    assert await _plain(vault_api.call(GET, id="alpha/registry.domain.com")) == (200, SHOWN)
    assert await _plain(vault_api.call(DELETE, id="alpha/registry.domain.com")) == (200, {})
    assert await _plain(vault_api.call(GET, id="alpha/registry.domain.com")) == (404, {"error": "Not found"})
    assert await _plain(vault_api.call(DELETE, id="alpha/registry.domain.com")) == (404, {"error": "Not found"})


async def test_all_spellings_of_a_removal_remove_one(vault_api: JsonCaller) -> None:
    for port in (1, 2, 3, 4):
        await vault_api.call(CREATE, grid="alpha", **(BOT | {"url": f"http://r.io:{port}"}))
    assert (await vault_api.call(DELETE_IN_GRID, grid="alpha", name="r.io:1")).status == 200
    assert (await vault_api.call(DELETE, id="alpha/R.io%3A2")).status == 200
    for name in ({}, {"name": ""}, {"name": " "}):
        refused = await vault_api.call(DELETE_IN_GRID, grid="alpha", **name)
        assert (refused.status, refused.body) == (422, {"error": {"name": "Name is required"}})
    found = (await vault_api.call(LIST, grid="alpha")).body["external_registries"]
    assert [registry["name"] for registry in found] == ["r.io:3", "r.io:4"]


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        ({"url": None}, {"url": "Url is required"}),
        ({"url": "ftp://r.io"}, {"url": "Url isn't in the right format"}),
        ({"url": "https://"}, {"url": "Url isn't in the right format"}),
        ({"url": "https:///v2"}, {"url": "Url isn't in the right format"}),
        ({"url": "https://r.io:port/"}, {"url": "Url isn't in the right format"}),
        ({"url": "https://[::1/"}, {"url": "Url isn't in the right format"}),
        ({"url": "x\nhttps://r.io"}, {"url": "Url isn't in the right format"}),
        (
            {"username": None, "password": None},
            {"username": "Username is required", "password": "Password is required"},
        ),
        (
            {"username": " ", "password": " "},
            {"username": "Username can't be blank", "password": "Password can't be blank"},
        ),
        ({"password": "a\0b"}, {"password": "Password is invalid"}),
    ],
)
async def test_refused_registries(vault_api: JsonCaller, changed: dict[str, str | None], errors: object) -> None:
    given = {key: value for key, value in (BOT | changed).items() if value is not None}
    refused = await vault_api.call(CREATE, grid="alpha", **given)
    assert (refused.status, refused.body) == (422, {"error": errors})


async def test_a_registry_is_there_once_per_grid(vault_api: JsonCaller) -> None:
    assert (await vault_api.call(CREATE, grid="alpha", **BOT)).status == 201
    taken = await vault_api.call(CREATE, grid="alpha", **(BOT | {"url": "http://REGISTRY.domain.com:443/other"}))
    assert (taken.status, taken.body) == (422, {"error": {"name": "is already taken"}})
    assert (await vault_api.call(CREATE, grid="beta", **BOT)).status == 201


async def test_strangers_viewers_and_unknown_grids(
    vault_api: JsonCaller, vault_api_as: Callable[[str | None], JsonCaller]
) -> None:
    await vault_api.call(CREATE, grid="alpha", **BOT)
    stranger, viewer = vault_api_as("stranger"), vault_api_as("viewer")
    for name in ("registry.domain.com", "missing", "a\0b"):
        for found in (
            await stranger.call(GET, id=f"alpha/{name}"),
            await stranger.call(DELETE, id=f"alpha/{name}"),
            await stranger.call(LIST, grid="alpha"),
            await stranger.call(CREATE, grid="alpha"),
            await viewer.call(DELETE, id=f"alpha/{name}"),
            await viewer.call(CREATE, grid="alpha", **BOT),
        ):
            assert (found.status, found.body) == (403, {"error": "Access denied"})
        assert (await vault_api.call(GET, id=f"none/{name}")).status == 404
    assert (await viewer.call(LIST, grid="alpha")).status == 200
    assert (await vault_api.call(GET, id="alpha/a\0b")).status == 404
    assert (await vault_api_as(None).call(LIST, grid="alpha")).status == 401


async def test_changes_are_audited_without_the_password(vault_api: JsonCaller, vault_neighbours: Neighbours) -> None:
    await vault_api.call(CREATE, grid="alpha", **BOT)
    await vault_api.call(DELETE, id="alpha/registry.domain.com")

    async def delivered() -> bool:
        return vault_neighbours.audit.seen() == [("create", "registry.domain.com"), ("delete", "registry.domain.com")]

    await eventually(delivered)
    assert "xyz123" not in str(vault_neighbours.audit.events)


async def test_the_shared_client_gets_the_password_and_nobody_else(
    vault: Running, vault_api: JsonCaller, vault_url: str
) -> None:
    await vault_api.call(CREATE, grid="alpha", **BOT)
    channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    resolver = RegistryResolver(channel)
    found = await resolver.resolve(ALPHA, ["registry.domain.com", "index.docker.io", "\0"])
    elsewhere = await resolver.resolve(BETA, ["registry.domain.com"])
    await channel.close()
    assert found == {"registry.domain.com": RegistryCredentials("a_bot", "a_bot@domain.com", BOT["url"], "xyz123")}
    assert elsewhere == {}
    assert "xyz123" not in repr(found)
    stub = registry_delivery_pb2_grpc.RegistryDeliveryServiceStub(vault.channel)
    request = delivery_pb.ResolveRegistryCredentialsRequest(grid_id=ALPHA, names=["registry.domain.com"])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ResolveRegistryCredentials(request, metadata=(("authorization", "Bearer admin"),))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    connection = await asyncpg.connect(vault_url)
    assert b"xyz123" not in await connection.fetchval("select sealed from vault.registries")
    await connection.close()


async def _plain(answer: object) -> tuple[int, object]:
    found: Answer = await answer
    return found.status, found.body
