"""The suite in containers, with two of everything: one build and one project for all tests of this folder."""

import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support import images
from tests.support.compose import Compose
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.suite import Api, soon

TWO = dict.fromkeys(("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge", "gateway"), 2)
AGENT = "kontena-agent"
_HOST = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the builds, and a machine with a lot else to do is no fault."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.timeout(2700), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What failed comes with what all containers said."""
    report = yield
    host = item.config.stash.get(_HOST, None)
    if report.failed and host:
        report.sections.append(("all containers", images.logs_of_all(host)))
    return report


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """An engine with the images. All of it goes with the engine."""
    with tempfile.TemporaryDirectory(prefix="kbox") as folder, Engine(Path(folder)) as engine:
        pytestconfig.stash[_HOST] = engine.host
        engine.import_busybox("kontena/busybox:1")
        images.build_all(engine.host)
        yield engine
        del pytestconfig.stash[_HOST]


@pytest.fixture(scope="session")
def compose(engine: Engine) -> Compose:
    """The project, up and ready."""
    project = Compose(engine.host)
    with images.step("two of everything, started"):
        project.scale(**TWO)
    return project


@pytest.fixture(scope="session")
def apis(compose: Compose, engine: Engine) -> Iterator[list[Api]]:
    """The administrator's client for each gateway, once the agent that the master printed a command for has joined as
    the only node."""
    apis = compose.apis()
    api = apis[0]
    api.call("POST", "/v1/grids", {"name": api.grid}, status=201)
    script = api.call("GET", f"/v1/grids/{api.grid}/join?uri={api.url}")["container"]
    folder = tempfile.mkdtemp(prefix="kjoin")
    # Files of containers are in memory wherever this runs.
    files = tempfile.mkdtemp(prefix="kfiles", dir="/dev/shm")
    here = script.replace("/etc/kontena-agent", folder).replace("-v /var/run/docker.sock:", f"-v {engine.socket}:")
    here = here.replace("-v /run/kontena:/run/kontena", f"-v {files}:{files} -e KONTENA_FILES_DIR={files}/files")
    done = subprocess.run(["sh"], input=here.encode(), env=compose.env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()

    def online() -> bool:
        nodes = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
        assert [node["status"] for node in nodes] == ["online"]
        return True

    with images.step("the agent's container, joined"):
        soon(online, within=600, message="the agent's container has joined")
    yield apis
    images.docker(engine.host, "rm", "-f", "-v", AGENT)
    for one in (folder, files):
        shutil.rmtree(one, ignore_errors=True)


@pytest.fixture(scope="session")
def docker(engine: Engine) -> Docker:
    """The engine, seen with the docker client."""
    return Docker(engine.host)
