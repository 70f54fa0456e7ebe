"""The engine under faults of what it stands on: afterwards the goal is reached, and what was healthy is untouched."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.chaos.deploying import CONTROL_PLANE, asked, ended, outcome
from tests.support.containers import Docker
from tests.support.mortality import pids
from tests.support.suite import Api, Suite, soon


def body(image: str, name: str, instances: int) -> dict[str, object]:
    return {
        "name": name,
        "image": image,
        "stateful": False,
        "instances": instances,
        "cmd": ["sleep", "100000"],
        "stop_grace_period": "0s",
    }


def made(api: Api, image: str, name: str, instances: int) -> str:
    return str(api.call("POST", f"/v1/grids/{api.grid}/services", body(image, name, instances), status=201)["id"])


@pytest.fixture
def steady(api: Api, docker: Docker, image: str) -> Iterator[str]:
    """A healthy service that must not be touched."""
    service = made(api, image, "calm", 2)
    api.deploy(service)
    yield service
    removed(api, docker, service)


def removed(api: Api, docker: Docker, service: str) -> None:
    soon(lambda: api.request("DELETE", f"/v1/services/{service}").status_code in (200, 404))
    soon(lambda: docker.all(service) == [], message="its containers are gone")


def test_postgres_dies_in_the_middle_of_a_deploy(
    suite: Suite, api: Api, docker: Docker, image: str, steady: str
) -> None:
    untouched = docker.running(steady)
    service = made(api, image, "pg-dies", 3)
    deploy = api.call("POST", f"/v1/services/{service}/deploy", {})
    [pid] = pids(suite, "postgres")
    os.kill(pid, signal.SIGKILL)
    assert outcome(ended(api, service, str(deploy["id"]))) == ("success", None)
    assert len(docker.running(service)) == 3
    assert pids(suite, "postgres") != [pid]
    assert docker.running(steady) == untouched
    removed(api, docker, service)


def test_the_whole_control_plane_dies_and_comes_back(
    suite: Suite, api: Api, docker: Docker, image: str, steady: str
) -> None:
    untouched = docker.running(steady)
    service = made(api, image, "all-die", 3)
    deploy = api.call("POST", f"/v1/services/{service}/deploy", {})
    victims = [pid for name in CONTROL_PLANE for pid in suite.pids(name)]
    assert len(victims) >= len(CONTROL_PLANE)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert outcome(ended(api, service, str(deploy["id"]))) == ("success", None)
    assert len(docker.running(service)) == 3
    assert docker.running(steady) == untouched
    # Nothing was deployed again because nodes looked lost for a while.
    found = asked(api, "GET", f"/v1/services/{steady}")
    assert found["state"] == "running"
    removed(api, docker, service)


def test_deploys_while_the_control_plane_is_gone_happen_when_it_is_back(
    suite: Suite, api: Api, docker: Docker, image: str, steady: str
) -> None:
    """The processes are stopped, not killed: their sockets stay open and nobody answers for a while."""
    untouched = docker.running(steady)
    service = made(api, image, "frozen", 3)
    deploy = api.call("POST", f"/v1/services/{service}/deploy", {})
    frozen = [pid for name in ("grid_svc", "deploy_svc", "engine") for pid in suite.pids(name)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        # On a slow machine it may have ended before.
        with contextlib.suppress(AssertionError):
            ended(api, service, str(deploy["id"]), within=3)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert outcome(ended(api, service, str(deploy["id"]))) == ("success", None)
    assert len(docker.running(service)) == 3
    assert docker.running(steady) == untouched
    removed(api, docker, service)


def test_streams_are_cut_at_random_points(suite: Suite, api: Api, docker: Docker, image: str, steady: str) -> None:
    """The gateway dies again and again while instances are deployed one after the other."""
    untouched = docker.running(steady)
    service = made(api, image, "cut-off", 4)
    deploy = api.call("POST", f"/v1/services/{service}/deploy", {})
    chance = random.Random(4711)
    for _ in range(3):
        gateways = soon(lambda: suite.pids("gateway"), message="the gateway runs")
        with_luck = chance.uniform(0.05, 1.0)
        with pytest.raises(AssertionError):
            soon(lambda: False, within=with_luck)
        for pid in gateways:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert outcome(ended(api, service, str(deploy["id"]))) == ("success", None)
    running = docker.running(service)
    assert len(running) == 4
    assert docker.running(steady) == untouched
    # A redeploy after all that finds everything as it shall be: nothing is created or started again.
    again = asked(api, "POST", f"/v1/services/{service}/deploy")
    assert outcome(ended(api, service, str(again["id"]))) == ("success", None)
    assert docker.running(service) == running
    removed(api, docker, service)
