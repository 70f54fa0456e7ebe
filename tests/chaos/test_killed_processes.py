"""`kill -9` of each process in turn during a deploy: the deploy still ends, no healthy container restarts."""

import os
import signal

import httpx
import pytest

from tests.support.containers import Docker
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

    def ended() -> dict[str, object] | None:
        try:
            answer = api.request("GET", f"/v1/services/{service}/deploys/{deploy['id']}")
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 and "finished_at" in answer.json() else None

    found = soon(ended, within=240, message="the deploy ends")
    assert found["state"] == "success", found
    assert len(docker.running(service)) == 3
    soon(lambda: suite.pids(name) not in ([], [pid]), message=f"{name} was started again")
    assert docker.running(steady) == untouched
    soon(lambda: api.request("DELETE", f"/v1/services/{service}").status_code == 200)
    soon(lambda: docker.all(service) == [], message="its containers are gone")
