"""The suite in containers, with two of everything: one build and one project for all tests of this folder."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images
from tests.support.compose import Compose
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.suite import Api, soon

TWO = dict.fromkeys(("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge", "gateway"), 2)
AGENT = "kontena-agent"


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
def apis(compose: Compose, engine: Engine) -> Iterator[list[Api]]:
    """The administrator's client for each gateway, once the agent that the master printed a command for has joined as
    the only node."""
    apis = compose.apis()
    api = apis[0]
    api.call("POST", "/v1/grids", {"name": api.grid}, status=201)
    script = api.call("GET", f"/v1/grids/{api.grid}/join?uri={api.url}")["container"]
    with tempfile.TemporaryDirectory(prefix="kjoin") as folder:
        here = script.replace("/etc/kontena-agent", folder).replace("-v /var/run/docker.sock:", f"-v {engine.socket}:")
        done = subprocess.run(["sh"], input=here.encode(), env=compose.env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

        def online() -> bool:
            nodes = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
            assert [node["status"] for node in nodes] == ["online"], images.logs(engine.host, AGENT)[-2000:]
            return True

        soon(online, within=300, message="the agent's container has joined")
        yield apis
        images.docker(engine.host, "rm", "-f", "-v", AGENT)


@pytest.fixture(scope="session")
def docker(engine: Engine) -> Docker:
    """The engine, seen with the docker client."""
    return Docker(engine.host)
