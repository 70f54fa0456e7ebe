"""The suite in containers, with two of everything: one build and one project for all tests of this folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images
from tests.support.compose import Compose
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.suite import Api, soon

TWO = dict.fromkeys(("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge"), 2)
AGENT = "kontenatest_agent"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine with the images."""
    with tempfile.TemporaryDirectory(prefix="kbox") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox("kontena/busybox:1")
        images.build_all(engine.host)
        yield engine


@pytest.fixture(scope="session")
def compose(engine: Engine) -> Iterator[Compose]:
    """The project, up and ready."""
    project = Compose(engine.host)
    try:
        project.scale(**TWO)
        yield project
    finally:
        project.down()


@pytest.fixture(scope="session")
def api(compose: Compose, engine: Engine) -> Iterator[Api]:
    """The administrator's client, once the agent's container has joined its grid as the only node."""
    api = compose.api()
    token = api.call("POST", "/v1/grids", {"name": api.grid}, status=201)["token"]
    images.docker(
        engine.host,
        *("run", "-d", "--name", AGENT, "--network", f"{compose.project}_suite", "--read-only"),
        *("--tmpfs", "/tmp"),  # noqa: S108
        *("-v", f"{engine.socket}:/var/run/docker.sock", "-v", "/var/lib/kontena-agent"),
        *("-e", "KONTENA_URI=gateway:9292", "-e", "KONTENA_PLAIN_TEXT_HOSTS=gateway"),
        *("-e", f"KONTENA_GRID_TOKEN={token}", "-e", "KONTENA_NODE_NAME=boxed-node"),
        f"kontena/agent:{images.TAG}",
    )

    def online() -> bool:
        return any(node["status"] == "online" for node in api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"])

    soon(online, within=120, message="the agent's container has joined")
    yield api
    images.docker(engine.host, "rm", "-f", "-v", AGENT)


@pytest.fixture(scope="session")
def docker(engine: Engine) -> Docker:
    """The engine, seen with the docker client."""
    return Docker(engine.host)
