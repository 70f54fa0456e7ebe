import asyncio

import grpc
import pytest

from kontena.vault.v1 import secret_delivery_pb2 as pb
from kontena.vault.v1 import secret_delivery_pb2_grpc
from services.clients import secrets
from services.clients.certificates import CertificateResolver
from services.clients.secrets import SecretResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.caller import Caller, answer, resolve
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours
from tests.support.running import CLUSTER_SECRET, Running
from tests.support.statements import statements_of


async def test_values_of_existing_secrets_by_name(vault: Running, member: Caller) -> None:
    await member.create("ONE", "1\n")
    await member.create("TWO", "2")
    await member.create("ONE", "other grid", grid="beta")
    assert dict((await resolve(vault.channel, ALPHA, "TWO", "ONE", "ONE", "MISSING", "a.b", "\0")).body.values) == {
        "ONE": "1\n",
        "TWO": "2",
    }
    assert dict((await resolve(vault.channel, BETA, "ONE", "TWO")).body.values) == {"ONE": "other grid"}
    assert dict((await resolve(vault.channel, "c" * 24, "ONE")).body.values) == {}
    assert dict((await resolve(vault.channel, ALPHA)).body.values) == {}


async def test_names_are_told_without_values(vault: Running, member: Caller) -> None:
    await member.create("ONE", "1")
    await member.create("TWO", "2", grid="beta")
    channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    assert await SecretResolver(channel).existing(ALPHA, ["ONE", "TWO", "MISSING", "\0"]) == {"ONE"}
    assert await SecretResolver(channel).existing(ALPHA, []) == frozenset()
    assert await CertificateResolver(channel).existing(ALPHA, ["x.test", "\0"]) == frozenset()
    await channel.close()


async def test_the_shared_client_resolves(vault: Running, member: Caller) -> None:
    await member.create("ONE", "1\n")
    channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    found = await SecretResolver(channel).resolve(ALPHA, ["ONE", "MISSING"])
    await channel.close()
    assert {name: value.reveal() for name, value in found.items()} == {"ONE": "1\n"}
    assert "1" not in repr(found["ONE"])


async def test_more_secrets_than_fit_into_an_answer_come_in_several(
    vault: Running, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """130 of the longest values were more than a client takes, and so none of a node had its values."""
    names = [f"N{number}" for number in range(5)]
    await asyncio.gather(*(member.create(name, name) for name in names))
    monkeypatch.setattr(secrets, "_MOST_NAMES", 2)
    channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    with statements_of("ResolveSecrets") as statements:
        found = await SecretResolver(channel).resolve(ALPHA, [*names, "MISSING"])
    await channel.close()
    assert {name: value.reveal() for name, value in found.items()} == {name: name for name in names}
    assert len([one for one in statements if "secrets" in one]) == 3


async def test_only_services_may_resolve(vault: Running) -> None:
    stub = secret_delivery_pb2_grpc.SecretDeliveryServiceStub(vault.channel)
    for metadata in ((), (("authorization", "Bearer admin"),), (("authorization", "Bearer member"),)):
        call = stub.ResolveSecrets(pb.ResolveSecretsRequest(grid_id=ALPHA, names=["ONE"]), metadata=metadata)
        assert (await answer(call)).status == 401


async def test_it_takes_one_query_and_no_other_service(
    vault: Running, member: Caller, vault_neighbours: Neighbours
) -> None:
    names = [f"N{number}" for number in range(20)]
    await asyncio.gather(*(member.create(name, name) for name in names))
    with statements_of("ResolveSecrets") as statements:
        found = await resolve(vault.channel, ALPHA, *names)
    assert dict(found.body.values) == {name: name for name in names}
    assert len(statements) == 1


async def test_many_long_values_fit_into_one_answer(vault: Running, member: Caller) -> None:
    names = [f"LONG{number}" for number in range(40)]
    await asyncio.gather(*(member.create(name, name + "x" * 100_000) for name in names))
    options = [("grpc.max_receive_message_length", 16 * 1024 * 1024)]
    async with grpc.aio.insecure_channel(vault.address, options=options) as channel:
        assert len((await resolve(channel, ALPHA, *names)).body.values) == 40
