from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import services.vault_svc
from services.kernel.migrations import migrate
from services.vault_svc.app import build
from services.vault_svc.settings import Settings
from services.vault_svc.store import tables
from tests.integration.vault_svc.acme_fixtures import Serve, server
from tests.integration.vault_svc.caller import Caller
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours, neighbours
from tests.support.eventually import eventually
from tests.support.pebble import MISSING, Pebble, pebble
from tests.support.postgres import TestPostgres, empty_tables
from tests.support.running import CLUSTER_SECRET, Running, running

KEY = "the first key of the vault in tests"
MIGRATIONS = Path(services.vault_svc.__file__).parent / "migrations"

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def vault_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    migrate(url, MIGRATIONS, tables.metadata)
    return url


@pytest.fixture(scope="session")
async def vault_neighbours() -> AsyncIterator[Neighbours]:
    async with neighbours() as found:
        yield found


@pytest.fixture(scope="session")
def vault_settings(vault_url: str, vault_neighbours: Neighbours) -> MakeSettings:
    def make(**changed: Any) -> Settings:
        values = {
            "database_url": vault_url,
            "cluster_secret": CLUSTER_SECRET,
            "auth_address": vault_neighbours.address,
            "grid_address": vault_neighbours.address,
            "deploy_address": vault_neighbours.address,
            "vault_key": KEY,
        }
        return Settings(**(values | changed))

    return make


@pytest.fixture(scope="session")
async def vault(vault_settings: MakeSettings) -> AsyncIterator[Running]:
    async with running(partial(build, vault_settings())) as served:
        yield served


@pytest.fixture(autouse=True)
async def _clean(vault: Running, vault_url: str, vault_neighbours: Neighbours) -> AsyncIterator[None]:
    await _told(vault_url)
    await empty_tables(vault_url, "vault")
    vault_neighbours.audit.events.clear()
    vault_neighbours.deploy.reset()
    vault_neighbours.grid_events.events.clear()
    yield
    vault_neighbours.grids.put(ALPHA, "alpha")
    vault_neighbours.grids.put(BETA, "beta")


async def _told(url: str) -> None:
    """Returns when `vault` has told the neighbours what the last test did: they would take it for the next one's.

    Also what a server had just claimed that ended with the last test.
    """
    connection = await asyncpg.connect(url)

    async def everything() -> bool:
        return bool(await connection.fetchval("select count(*) = 0 from vault.outbox where attempts = 0"))

    try:
        # Not in the way of a delivery that is just being noted down.
        await connection.execute(
            "update vault.outbox set not_before = now()"
            " where seq in (select seq from vault.outbox where attempts = 0 for update skip locked)"
        )
        tables.outbox.wake()
        await eventually(everything, within=60, message="the neighbours are told")
    finally:
        await connection.close()


@pytest.fixture
def member(vault: Running) -> Caller:
    return Caller(vault.channel, "member")


@pytest.fixture
def callers(vault: Running) -> Callable[[str | None], Caller]:
    return lambda token: Caller(vault.channel, token)


@pytest.fixture
def vault_api(vault: Running) -> JsonCaller:
    return JsonCaller(vault.channel, "member")


@pytest.fixture
def vault_api_as(vault: Running) -> Callable[[str | None], JsonCaller]:
    return lambda token: JsonCaller(vault.channel, token)


@pytest.fixture(scope="session")
async def pebble_ca(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pebble]:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (Debian package pebble)")
    async with pebble(tmp_path_factory.mktemp("pebble")) as served:
        yield served


@pytest.fixture
def serve(vault_settings: MakeSettings, pebble_ca: Pebble, vault_neighbours: Neighbours) -> Serve:
    return server(vault_settings, pebble_ca, vault_neighbours)


@pytest.fixture
async def sql(vault_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(vault_url)
    yield connection
    await connection.close()
