"""`kill -9` of each process in turn during a deploy: the deploy still ends, no healthy container restarts."""

import os
import signal
from typing import Any

import httpx
import pytest

from tests.support.containers import Docker
from tests.support.registry import silent_registry
from tests.support.suite import Api, Suite, soon


@pytest.fixture(scope="module")
def steady(api: Api, docker: Docker, image: str) -> str:
    """A healthy service that must not be touched."""
    body = {
        "name": "steady",
        "image": image,
        "stateful": False,
        "instances": 2,
        "cmd": ["sleep", "100000"],
        "stop_grace_period": "0s",
    }
    service = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(service)
    return service


# The others die with `make test-heavy`, and always in test_engine_faults.py and test_soak.py.
OFTEN = ("agent", "engine", "grid_svc", "gateway")
SELDOM = ("deploy_svc", "auth_svc", "vault_svc")


@pytest.mark.parametrize("name", [*OFTEN, *(pytest.param(name, marks=pytest.mark.heavy) for name in SELDOM)])
def test_a_deploy_survives_the_death_of(
    suite: Suite, api: Api, docker: Docker, image: str, steady: str, name: str
) -> None:
    untouched = docker.running(steady)
    assert len(untouched) == 2
    short = name.replace("_svc", "")
    body = {
        "name": f"late-{short}",
        "image": image,
        "stateful": False,
        "instances": 3,
        "cmd": ["sleep", "100000"],
        "stop_grace_period": "0s",
    }
    service = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    deploy = api.call("POST", f"/v1/services/{service}/deploy", {})
    [pid, *_] = suite.pids(name)
    os.kill(pid, signal.SIGKILL)

    found = soon(
        lambda: finished(api, f"/v1/services/{service}/deploys/{deploy['id']}"),
        within=240,
        message="the deploy ends",
    )
    assert found["state"] == "success", found
    assert len(docker.running(service)) == 3
    soon(lambda: suite.pids(name) not in ([], [pid]), message=f"{name} was started again")
    assert docker.running(steady) == untouched
    soon(lambda: api.request("DELETE", f"/v1/services/{service}").status_code == 200)
    soon(lambda: docker.all(service) == [], message="its containers are gone")


def test_history_and_what_is_under_way_outlive_the_control_plane(
    suite: Suite, api: Api, docker: Docker, image: str
) -> None:
    body = {"name": "told", "image": image, "stateful": False, "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    service = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    path = f"/v1/services/{service}"
    api.deploy(service)
    api.call("PUT", path, {"env": ["VERSION=2"]})
    api.deploy(service)
    before = docker.running(service)
    with silent_registry() as registry:
        api.call("PUT", path, {"image": f"{registry}/slow:1"})
        going, waiting = (api.call("POST", f"{path}/deploy", {}) for _ in range(2))
        soon(lambda: api.call("GET", f"{path}/deploys/{going['id']}")["instance_deploys"] != [], message="it began")
        told, kept = api.call("GET", f"{path}/deploys")["deploys"], api.call("GET", f"{path}/revisions")
        killed = {name: suite.pids(name) for name in ("deploy_svc", "engine", "grid_svc")}
        for pid in {pid for pids in killed.values() for pid in pids}:
            os.kill(pid, signal.SIGKILL)
        for name, pids in killed.items():
            soon(lambda name=name, pids=pids: pids != suite.pids(name) != [], message=f"{name} was started again")
        after = soon(lambda: answered(api, f"{path}/deploys"))["deploys"]
        assert [item["id"] for item in after[:2]] == [waiting["id"], going["id"]]
        assert (after[2:], len(after)) == (told[2:], 4)
        assert soon(lambda: answered(api, f"{path}/revisions")) == kept
        assert docker.running(service) == before
    # The node was pulling all the time and says that it cannot, so the deploy ends as it would have, and the next too.
    for deploy in (going, waiting):
        found = soon(lambda deploy=deploy: finished(api, f"{path}/deploys/{deploy['id']}"), within=240)
        assert (found["state"], registry in found["reason"]) == ("error", True), found
    assert docker.running(service) == before
    back = api.call("POST", f"{path}/rollback", {"revision": kept["revisions"][-1]["revision"]})
    assert api.deployed(service, back)["state"] == "success"
    assert "VERSION=2" not in docker.one(service)["Config"]["Env"]
    api.call("DELETE", path)
    soon(lambda: docker.all(service) == [], message="its containers are gone")


def answered(api: Api, path: str) -> Any:
    """What a path answers; None while there is nobody to answer."""
    try:
        answer = api.request("GET", path)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def finished(api: Api, path: str) -> Any:
    """The deploy at a path once it has ended, be it that nobody answers for a while."""
    found = answered(api, path)
    return found if found and "finished_at" in found else None
