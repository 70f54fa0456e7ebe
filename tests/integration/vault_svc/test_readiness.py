"""Health checks send callers to the replicas of the vault that have its key, as long as there is one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.settings import Endpoint
from services.kernel.server import follow_readiness
from services.vault_svc.app import build, rotate
from services.vault_svc.settings import Settings
from tests.integration.gateway import proxy
from tests.integration.gateway.echo import Echo
from tests.integration.vault_svc.caller import Caller
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.support.eventually import eventually
from tests.support.running import Running, running

NEW = "the second key of the vault in tests"


@asynccontextmanager
async def replica(settings: Settings) -> AsyncIterator[Running]:
    """One that goes on asking whether it is ready, as a process of its own does."""
    async with running(partial(build, settings)) as served:
        readiness = asyncio.create_task(follow_readiness(served.app, served.server))
        try:
            yield served
        finally:
            readiness.cancel()
            await asyncio.wait([readiness])


async def _serves(served: Running) -> bool:
    answer = await health_pb2_grpc.HealthStub(served.channel).Check(health_pb2.HealthCheckRequest())
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_without_a_key_it_is_ready_only_while_nobody_has_one(
    vault_settings: MakeSettings, logged: Callable[[], str]
) -> None:
    async with replica(vault_settings(vault_key="")) as keyless:
        assert await _serves(keyless)
        assert (await Caller(keyless.channel, "member").read("alpha/N")).body == {"error": "Vault not configured"}
        async with replica(vault_settings()) as other:
            assert await _serves(other)

            async def left() -> bool:
                return not await _serves(keyless)

            await eventually(left, within=60, message="it leaves to who has the key")
    assert "VAULT_KEY is not set, but this vault has a key" in logged()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    """The other services, as far as the gateway asks for their health."""
    server = Echo()
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def gateway(folder: Path, echo: Echo, *vaults: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an Envoy before these replicas, all of which serve."""
    addresses = tuple(Endpoint("127.0.0.1", int(served.address.rpartition(":")[2])) for served in vaults)
    envoy = proxy.running(proxy.settings(folder, echo.port, vault_addresses=addresses), folder)
    started = await asyncio.to_thread(envoy.__enter__)
    try:
        headers = {"authorization": "Bearer member"}
        async with httpx.AsyncClient(base_url=started.url, headers=headers) as client:
            yield client
    finally:
        await asyncio.to_thread(envoy.__exit__, None, None, None)


async def test_the_gateway_asks_those_with_the_key_even_if_most_have_another(
    vault_settings: MakeSettings, echo: Echo, tmp_path: Path
) -> None:
    ahead = vault_settings(vault_key=NEW, vault_old_keys=KEY)
    async with replica(vault_settings()) as one, replica(vault_settings()) as two, replica(ahead) as right:
        await Caller(one.channel, "member").create("NAME", "v")
        async with gateway(tmp_path, echo, one, two, right) as client:

            async def ready() -> int:
                return (await client.get("/readyz")).status_code

            async def answers() -> set[tuple[int, str]]:
                found = [await client.get("/v1/secrets/alpha/NAME") for _ in range(12)]
                return {
                    (answer.status_code, answer.json().get("value", answer.json().get("error"))) for answer in found
                }

            async def one_key() -> bool:
                return await answers() == {(200, "v")} and not (await _serves(one) or await _serves(two))

            assert await ready() == 200
            assert await rotate(ahead) == 0
            await eventually(one_key, within=60, message="only who has the key is asked")
            assert await ready() == 200
            await right.server.serving(yes=False)

            async def nobody() -> bool:
                return await ready() == 503

            await eventually(nobody, within=60, message="no replica is ready")
