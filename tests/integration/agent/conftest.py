"""Fixtures of the agent's tests."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.agent.agent_process import AgentProcess, running_agent, settings
from tests.integration.agent.container_master import ContainerMaster
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

# Nobody listens at this registry, so a pull ends at once, whatever the network around has to say to names.
IMAGE = "127.0.0.1:1/test-busybox:1"


@pytest.fixture
async def master() -> AsyncIterator[Master]:
    async with Master() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Engine]:
    """A private engine for this worker."""
    # Paths of unix sockets are short; pytest's own temporary folders are not.
    with tempfile.TemporaryDirectory(prefix="keng") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox(IMAGE)
        yield engine


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """The engine without containers."""
    yield shared_engine
    shared_engine.remove_containers()
    shared_engine.remove_volumes()


@pytest.fixture
def agent_process(master: Master, engine: Engine, tmp_path: Path) -> Iterator[AgentProcess]:
    """An agent on the engine, not started yet."""
    process = AgentProcess(
        tmp_path / "agent.log",
        KONTENA_URI=master.uri,
        KONTENA_GRID_TOKEN="grid-token-value",
        KONTENA_NODE_ID="ENGINE-1",
        KONTENA_NODE_NAME="node-1",
        KONTENA_STATE_DIR=str(tmp_path / "state"),
        KONTENA_RUNTIME="docker",
        DOCKER_HOST=engine.host,
    )
    yield process
    process.kill()


@pytest.fixture
async def node(master: Master, engine: Engine, tmp_path: Path) -> AsyncIterator[None]:
    """An agent in this process, attached."""
    chosen = settings(master.uri, tmp_path / "state", runtime="docker", docker_host=engine.host)
    async with running_agent(chosen):

        async def attached() -> bool:
            return master.attached > 0

        await eventually(attached)
        yield


@pytest.fixture
async def chief() -> AsyncIterator[ContainerMaster]:
    """A master that takes everything an agent tells."""
    async with ContainerMaster() as stand_in:
        yield stand_in


@pytest.fixture
async def chiefs_node(chief: ContainerMaster, engine: Engine, tmp_path: Path) -> AsyncIterator[None]:
    """An agent in this process that measures three times a second."""
    chosen = settings(chief.uri, tmp_path / "state", runtime="docker", docker_host=engine.host, stats_seconds=0.3)
    async with running_agent(chosen):
        yield
