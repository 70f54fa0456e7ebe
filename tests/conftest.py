"""Fixtures for every room of the suite. The expensive ones start only when a test asks for them."""

import gc
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import hypothesis
import psutil
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context
from httpx._transports import default as transports
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import tests.support.quiet  # noqa: F401 -- before anything loads gRPC.
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.postgres import TestPostgres
from tests.support.suite import REPOSITORY, Api, Suite, soon

IMAGE = "kontena/e2e-busybox:1"
_SHARING = {"e2e", "chaos", "containers", "network", "upgrade", "bench"}
_SLOW = {"chaos", "network"}
# Rooms that take longest. One that begins late ends when all others have.
_LONG = {"e2e", "chaos", "network", "integration/agent", "integration/deploy_svc"}
# Examples are the same in each run and have no deadline, so that a result tells about the code and not about chance or
# the machine. `pytest --hypothesis-profile=default` looks for new ones.
hypothesis.settings.load_profile("ci")
# httpx waits five seconds for an answer, which is too short where a lot else runs; there is no other place to say so.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = 60.0
# It also reads the authorities of this machine for each client anew, which takes twenty times as long as a request.
vars(transports)["create_ssl_context"] = cache(create_ssl_context)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All that is collected stays; in each worker, the garbage collector would look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the running suite need a Docker Engine, and some wait for long. Rooms that take longest come first."""
    items.sort(key=lambda item: _room(item.nodeid) not in _LONG)
    for item in items:
        if _SHARING & set(Path(item.path).parts):
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.timeout(900))
        if _SLOW & set(Path(item.path).parts):
            item.add_marker(pytest.mark.slow)


class OneWorkerPerFolder(LoadScopeScheduling):
    """Tests of folders that share servers go to one worker, in the order in which they were collected: each server
    starts once, not in each worker."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        # What has many tests is not what takes long.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return _room(nodeid)


def _room(nodeid: str) -> str:
    """Tests of one room are for one worker."""
    _, folder, room, *_ = nodeid.split("/")
    if folder in _SHARING:
        return folder
    return f"{folder}/{room}" if folder == "integration" else nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A running suite ends with the last test on it: idle, it would slow those that follow."""
    if nextitem and _SHARING & set(item.path.parts) and _room(item.nodeid) != _room(nextitem.nodeid):
        item.session._setupstate.teardown_exact(None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerPerFolder:
    """In place of the groups of pytest-xdist 3.8, which have no effect with pytest 9.2."""
    return OneWorkerPerFolder(config, log)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What this process has printed and logged since the test began; as text of the terminal, or by way of the library
    where a test before this one had configured that, as services and commands do."""
    printed: list[str] = []

    def text() -> str:
        printed.extend(capsys.readouterr())
        return "".join(printed) + caplog.text

    return text


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestPostgres]:
    """A real Postgres for this worker."""
    server = TestPostgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def suite_engine() -> Iterator[Engine]:
    """The Docker Engine of the suite's node."""
    with tempfile.TemporaryDirectory(prefix="keng") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox(IMAGE)
        yield engine


@pytest.fixture(scope="session")
def suite(suite_engine: Engine) -> Iterator[Suite]:
    """The whole suite from a clean copy of the tree, brought up as the README says. It borrows what is installed here;
    one that installs, as on a new machine, is in tests/e2e/test_readme.py."""
    with tempfile.TemporaryDirectory(prefix="ksuite") as folder:
        suite = Suite(Path(folder), f"unix://{suite_engine.socket}")
        suite.copy_tree()
        suite.borrow(REPOSITORY)
        try:
            suite.make("up")
            yield suite
            leaks = suite.leaks()
        finally:
            suite.make("down")
            shutil.rmtree(suite.env["KONTENA_FILES_DIR"], ignore_errors=True)
        soon(lambda: _nothing_left(folder), message="make down leaves nothing behind")
        assert leaks == [], "no secret value of any test is anywhere in what the suite wrote"


def _nothing_left(folder: str) -> bool:
    """Whether no process has to do with the folder. What another one started ends a moment after it."""
    left = [p.info for p in psutil.process_iter(["pid", "cmdline"]) if folder in " ".join(p.info["cmdline"] or [])]
    assert left == []
    return True


@pytest.fixture(scope="session")
def api(suite: Suite) -> Api:
    """A client with the administrator's token."""
    return suite.api()


@pytest.fixture(scope="session")
def docker(suite_engine: Engine) -> Docker:
    """The engine of the suite's node, seen with the docker client."""
    return Docker(f"unix://{suite_engine.socket}")


@pytest.fixture(scope="session")
def image() -> str:
    """An image that exists on the engine only: no registry knows it."""
    return IMAGE
