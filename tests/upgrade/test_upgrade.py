"""From the last release to this one under load, one process after the other, with a step back on the way: no read
fails, no write is lost, no container is touched."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kernel.version import VERSION
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.journey import whole_way
from tests.support.ledger import Ledger
from tests.support.postgres import TestPostgres
from tests.support.release import SERVICES, THIS, Installation, Release, installation, release_before
from tests.support.suite import Api, soon
from tests.support.work import prepare

IMAGE = "kontena/busybox:1"
NODE = "upgraded-node"
BESIDE = (*SERVICES, "exec_bridge")


@pytest.fixture(scope="module")
def last() -> Iterator[Release]:
    with tempfile.TemporaryDirectory(prefix="klast") as folder:
        yield release_before(Path(folder))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="keng") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox(IMAGE)
        yield engine


@pytest.fixture
def installed(last: Release, engine: Engine, postgres: TestPostgres) -> Iterator[Installation]:
    """The last release, up."""
    with (
        tempfile.TemporaryDirectory(prefix="kinst") as folder,
        installation(Path(folder), postgres.database(), engine.host) as installed,
    ):
        installed.migrate(last)
        installed.start(last, *BESIDE)
        installed.start(last, "gateway")
        yield installed


def online(api: Api, version: str | None) -> None:
    """The node is there with an agent of this version, or any."""

    def is_online() -> bool:
        nodes = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
        return any(node["status"] == "online" and version in (None, node["agent_version"]) for node in nodes)

    soon(is_online, message=f"the node is online with an agent of {version or 'any version'}")


def made(api: Api, name: str, *, stateful: bool) -> str:
    """A deployed service of two containers."""
    body = {"name": name, "image": IMAGE, "stateful": stateful, "instances": 2, "cmd": ["sleep", "100000"]}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body | {"stop_grace_period": "0s"}, status=201)
    api.deploy(service["id"])
    return str(service["id"])


def test_up_back_and_up_again(installed: Installation, last: Release, engine: Engine) -> None:
    api, docker = installed.api("upgraded"), Docker(engine.host)
    token = api.call("POST", "/v1/grids", {"name": api.grid}, status=201)["token"]
    installed.start_agent(last, token, NODE)
    online(api, None)
    kept = [made(api, "web", stateful=False), made(api, "data", stateful=True)]
    busy = made(api, "busy", stateful=False)
    prepare(api, "ledger", 1)
    before = [docker.running(service) for service in kept]
    with Ledger(api, "ledger", busy, told_when=False) as ledger:
        installed.migrate(THIS)
        installed.start(THIS, *BESIDE)
        # Half of everything is of either release.
        whole_way(api, docker, NODE, IMAGE)
        installed.replace(last, THIS, *BESIDE)
        # Back: what was migrated stays so.
        installed.replace(THIS, last, *BESIDE)
        whole_way(api, docker, NODE, IMAGE)
        installed.replace(last, THIS, *BESIDE)
        installed.replace(last, THIS, "gateway")
        installed.stop("agent", last)
        installed.start_agent(THIS, token, NODE)
        online(api, VERSION)
        whole_way(api, docker, NODE, IMAGE)
    print(f"answers: {dict(sorted(ledger.answers.items()))}")  # noqa: T201
    assert [docker.running(service) for service in kept] == before, "containers run on"
    assert ledger.check() == []
    assert set(ledger.deploys.ended.values()) == {"success"}
    failed = {answer: count for answer, count in ledger.answers.items() if not answer.split()[1].startswith("2")}
    # 1.5 gives connections between services 100 ms, which a machine with a lot else to do makes too short now and then.
    assert failed.pop("read 503", 0) <= sum(ledger.answers.values()) / 500, ledger.refused
    assert failed == {}, ledger.refused
    assert [told for request, told in ledger.refused.items() if not installed.answered(request, last)] == []
    asked = api.request("GET", "/v1/grids").headers["x-request-id"]
    assert installed.answered(asked, THIS), "it is known who answers"
    assert not installed.answered(asked, last)
    assert ledger.acknowledged > 100
