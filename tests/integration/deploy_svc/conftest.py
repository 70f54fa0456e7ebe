from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
from pydantic import SecretStr

from kontena.deploy.v1 import container_pb2 as pb
from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import command_routes
from services.deploy_svc.usecases import tail
from services.kernel.db import Database
from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
    ContainerRest,
    command_agent,
    container,
    container_pusher,
)
from tests.integration.deploy_svc.engine_fixtures import (
    Engine,
    engine,
)
from tests.integration.deploy_svc.exec_clients import bridge, reply
from tests.integration.deploy_svc.forgotten import all_forgotten
from tests.integration.deploy_svc.http_world import Http, HttpWorld, http_world
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2, Neighbours, neighbours
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres, empty_tables
from tests.support.running import CLUSTER_SECRET, Running, running
from tests.support.statements import statements_of


@pytest.fixture(scope="session")
def deploy_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    app.migrate(_settings(url))
    return url


@pytest.fixture(scope="session")
async def deploy_neighbours() -> AsyncIterator[Neighbours]:
    async with neighbours() as found:
        yield found


@pytest.fixture(scope="session")
def deploy_settings(deploy_url: str, deploy_neighbours: Neighbours) -> Settings:
    return _settings(deploy_url, deploy_neighbours.address)


@pytest.fixture(scope="session")
async def _served(deploy_settings: Settings) -> AsyncIterator[Running]:
    async with running(partial(app.build, deploy_settings)) as served:
        yield served


@pytest.fixture
def deploy(_served: Running, _clean: None) -> Running:
    """A replica of the whole session, with empty tables and neighbours that know nothing."""
    return _served


@pytest.fixture
async def deploy_db(deploy_url: str, _clean: None) -> AsyncIterator[Database]:
    db = Database(deploy_url, pool_size=2)
    yield db
    await db.close()


@pytest.fixture
async def _clean(_served: Running, deploy_url: str, deploy_neighbours: Neighbours) -> None:
    await empty_tables(deploy_url, "deploy")
    if nodes := list(deploy_neighbours.grids.nodes.records):
        async with all_forgotten(deploy_url, nodes):
            deploy_neighbours.reset()
        await empty_tables(deploy_url, "deploy")
    deploy_neighbours.reset()
    deploy_neighbours.audit.events.clear()


@pytest.fixture(scope="session")
def http_world_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    app.migrate(_settings(url))
    return url


@pytest.fixture(scope="session")
async def _http_world(http_world_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpWorld]:
    async with engine(http_world_url) as found, http_world(found, tmp_path_factory.mktemp("deploy-http")) as world:
        yield world


@pytest.fixture
async def edge(_http_world: HttpWorld, http_world_url: str) -> HttpWorld:
    """deploy_svc behind a gateway, empty."""
    _http_world.engine.around.reset()
    await empty_tables(http_world_url, "deploy")
    return _http_world


@pytest.fixture
def http(edge: HttpWorld) -> Http:
    return edge.http


@pytest.fixture
def rest(deploy: Running) -> Rest:
    return Rest(deploy.channel, "member")


@pytest.fixture
def rest_as(deploy: Running) -> Callable[[str | None], Rest]:
    return partial(Rest, deploy.channel)


def _settings(url: str, address: str = "127.0.0.1:1") -> Settings:
    return Settings(
        database_url=url,
        cluster_secret=SecretStr(CLUSTER_SECRET),
        auth_address=address,
        grid_address=address,
        vault_address=address,
    )


@pytest.fixture
def never_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a follower of logs or events gets, it was woken for, however slow the machine is."""
    monkeypatch.setattr(tail, "_POLL_SECONDS", 3600.0)


@pytest.fixture
def deploy_queries() -> Callable[[str], AbstractContextManager[list[str]]]:
    return statements_of


@pytest.fixture(scope="session")
def engine_url(postgres: TestPostgres) -> str:
    """The database of all engines that a test starts and ends; each begins with empty tables."""
    url = postgres.database()
    app.migrate(_settings(url))
    return url


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    """Two nodes and no replica yet."""
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        found.node(NODE_2, 2)
        yield found


@pytest.fixture
async def one_node(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        yield found


@pytest.fixture
async def exec_agent(
    deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours
) -> AsyncIterator[CommandAgent]:
    """node-a, attached, with the container web-1."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container())
    async with command_agent(deploy.channel, reply) as agent:

        async def reachable() -> bool:
            ask = ContainerRest(deploy.channel)
            async with deploy_db.read() as tx:
                routed = await command_routes.find(tx, NODE_1) is not None
            found = await ask("GetContainer", pb.GetContainerRequest(id="g1/node-a/web-1"))
            return routed and found.status == 200

        await eventually(reachable)
        yield agent


@pytest.fixture
async def exec_url(deploy: Running) -> AsyncIterator[str]:
    async with bridge(deploy.address) as found:
        yield found
