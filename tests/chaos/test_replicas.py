"""A second replica of deploy_svc beside the first: work is done once."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.containers import Docker
from tests.support.replica import replica
from tests.support.suite import Api, Suite, soon


@pytest.fixture(scope="module")
def second_deploy_svc(suite: Suite) -> Iterator[None]:
    with replica(suite, "deploy", 25):
        yield


@pytest.mark.usefixtures("second_deploy_svc")
def test_no_deploy_is_executed_twice(api: Api, docker: Docker, image: str) -> None:
    began = str(int(time.time()))
    body = {"image": image, "stateful": False, "instances": 2, "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    names = [f"twice-{number}" for number in range(6)]

    def deploy(name: str) -> str:
        service = str(api.call("POST", f"/v1/grids/{api.grid}/services", {**body, "name": name}, status=201)["id"])
        api.deploy(service)
        return service

    with ThreadPoolExecutor(6) as pool:
        services = list(pool.map(deploy, names))
    for service in services:
        assert len(docker.running(service)) == 2
    events = docker.command(
        "events", "--since", began, "--until", str(int(time.time()) + 1), "--filter", "event=create",
        "--format", '{{index .Actor.Attributes "name"}}',
    )  # fmt: skip
    created = Counter(name for name in events.split() if name.startswith("twice-"))
    assert created == {f"{name}-{number}": 1 for name in names for number in (1, 2)}
    for service in services:
        api.call("DELETE", f"/v1/services/{service}")
    soon(lambda: not any(docker.all(service) for service in services), message="all containers are gone")
