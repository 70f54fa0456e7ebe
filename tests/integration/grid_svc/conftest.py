from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import services.grid_svc
from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from services.grid_svc.app import build
from services.grid_svc.settings import Settings
from services.grid_svc.store.tables import metadata
from services.kernel.db import Database
from services.kernel.migrations import migrate
from tests.integration.grid_svc import grace
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.stand_ins import Neighbours, neighbours
from tests.support.postgres import TestPostgres, empty_tables
from tests.support.running import CLUSTER_SECRET, Running, running, service_metadata

MIGRATIONS = Path(services.grid_svc.__file__).parent / "migrations"

MakeSettings = Callable[..., Settings]
Users = Callable[..., Caller]


@pytest.fixture(scope="session")
def grid_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    migrate(url, MIGRATIONS, metadata)
    return url


@pytest.fixture(scope="session")
async def grid_neighbours() -> AsyncIterator[Neighbours]:
    async with neighbours() as found:
        yield found


@pytest.fixture(scope="session")
def grid_settings(grid_url: str, grid_neighbours: Neighbours) -> MakeSettings:
    def make(**changed: Any) -> Settings:
        values: dict[str, Any] = {
            "database_url": grid_url,
            "cluster_secret": CLUSTER_SECRET,
            "auth_address": grid_neighbours.address,
            "deploy_address": grid_neighbours.address,
            "count_deadline_seconds": 30,
            "reconnect_grace_seconds": grace.SECONDS,
            "liveness_seconds": 0.1,
            "sample_seconds": 0.1,
            "statsd_allowed": "127.0.0.1,localhost",
            "log_targets_allowed": "127.0.0.1",
            # These replicas live as long as the test run: none of them must take silent nodes of a test for dead.
            "last_seen_seconds": 600,
        }
        return Settings(**(values | changed))

    return make


@pytest.fixture(scope="session")
async def grid(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    async with running(partial(build, grid_settings())) as served:
        yield served


@pytest.fixture(scope="session")
async def other_replica(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    async with running(partial(build, grid_settings())) as served:
        yield served


@pytest.fixture(autouse=True)
async def _clean(grid_url: str, grid_neighbours: Neighbours) -> None:
    await empty_tables(grid_url, "grid")
    grid_neighbours.reset()


@pytest.fixture
def users(grid: Running, grid_neighbours: Neighbours) -> Users:
    return lambda *roles, **fields: Caller(grid.channel, grid_neighbours.introspection.user(*roles, **fields))


@pytest.fixture
def admin(users: Users) -> Caller:
    return users("master_admin")


@pytest.fixture
def grid_id(grid: Running) -> Callable[[str], Awaitable[str]]:
    async def find(name: str) -> str:
        stub: Any = watch_pb2_grpc.GridWatchServiceStub(grid.channel)
        request = watch_pb2.GetGridRecordRequest(name=name)
        found: str = (await stub.GetGridRecord(request, metadata=service_metadata())).id
        return found

    return find


@pytest.fixture
async def db(grid_url: str) -> AsyncIterator[Database]:
    """The database of the replicas, for what a test does behind their backs."""
    database = Database(grid_url)
    yield database
    await database.close()


@pytest.fixture
async def token(admin: Caller) -> str:
    """Join token of the grid `alpha`, which has three initial members."""
    created = await admin.create_grid({"name": "alpha", "initial_size": 3})
    found: str = created.body["token"]
    return found
