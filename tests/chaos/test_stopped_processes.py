"""Each process stops answering without ending (SIGSTOP), as on a machine that swaps: whatever does not need it goes on
at once, whatever does ends at its deadline, and all is well as soon as the process goes on.

Some seconds each; a minute with `make soak`.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.containers import Docker
from tests.support.suite import PROCESSES, Api, Suite, soon

SOAK = bool(os.environ.get("KONTENA_SOAK"))
SECONDS = 60.0 if SOAK else 6.0
# How many requests that do need it are waited for, half a minute each.
REFUSED = 2 if SOAK else 1
# For what needs nobody who stopped: a busy machine, not a deadline of ours.
AT_ONCE = 8.0 if SOAK else 20.0
# The longest deadline that the gateway sets.
DEADLINE = 35.0 if SOAK else 60.0
AGAIN = 15.0 if SOAK else 60.0

ACCESS = ("/v1/user", "/v1/audit_logs?limit=1")
GRIDS = ("/v1/grids", "/v1/grids/local", "/v1/grids/local/nodes")
SERVICES = (
    "/v1/grids/local/services",
    "/v1/grids/local/stacks",
    "/v1/containers/local",
    "/v1/services/local/null/calm",
)
VAULT = ("/v1/grids/local/secrets", "/v1/grids/local/certificates", "/v1/grids/local/external_registries")
EVERYTHING = (*ACCESS, *GRIDS, *SERVICES, *VAULT)
# What must not notice that the process has stopped, and whether that goes for deploys without secrets.
UNAFFECTED: dict[str, tuple[tuple[str, ...], bool]] = {
    # Whoever is not known for less than five seconds cannot be let in without it.
    "auth_svc": ((), False),
    "grid_svc": ((*ACCESS, *SERVICES, *VAULT), True),
    "deploy_svc": ((*ACCESS, *GRIDS, *VAULT), False),
    "vault_svc": ((*ACCESS, *GRIDS, *SERVICES), True),
    "exec_bridge": (EVERYTHING, True),
    "engine": (EVERYTHING, False),
    "agent": (EVERYTHING, False),
}
# Without the gateway nobody is answered.
assert {*UNAFFECTED, "gateway"} == set(PROCESSES)


# All of them stop with `make test-heavy` and `make soak`; this one always, and nothing waits for a deadline then.
OFTEN = () if SOAK else ("vault_svc",)


@pytest.fixture(scope="module")
def calm(api: Api, docker: Docker, image: str) -> Iterator[str]:
    """A healthy service that must not be touched."""
    body = {"name": "calm", "image": image, "stateful": False, "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    service = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(service)
    yield service
    soon(lambda: api.request("DELETE", f"/v1/services/{service}").status_code == 200)


@contextmanager
def stopped(suite: Suite, name: str) -> Iterator[float]:
    """The process does nothing until the block ends; yields until when it shall."""
    pids = suite.pids(name)
    assert pids
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield time.monotonic() + SECONDS
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def timed(act: Callable[[], int]) -> tuple[int, float]:
    """What came of it, and after how many seconds."""
    started = time.monotonic()
    return act(), time.monotonic() - started


def reads(api: Api, paths: tuple[str, ...], within: float, allowed: set[int]) -> None:
    """Each path answers in time."""
    for path in paths:
        status, seconds = timed(lambda path=path: api.request("GET", path).status_code)
        assert status in allowed, f"{path}: {status} after {seconds:.1f} s"
        assert seconds < within, f"{path}: {status} after {seconds:.1f} s"


def well(api: Api, docker: Docker, calm: str) -> bool:
    """Everything is read, a container is inspected, a command runs in it."""
    reads(api, EVERYTHING, AT_ONCE, {200})
    inspected = api.request("GET", f"/v1/containers/{api.grid}/local-node/calm-1/inspect")
    assert inspected.status_code == 200, inspected.text
    ran = api.request("POST", f"/v1/containers/{api.grid}/local-node/calm-1/exec", {"cmd": ["echo", "here"]})
    assert ran.json() == [["here\n"], [], 0], ran.text
    return True


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        *(pytest.param(name, 0, id=f"{name} for a moment") for name in OFTEN),
        *(pytest.param(name, REFUSED, id=name, marks=pytest.mark.heavy) for name in UNAFFECTED),
    ],
)
def test_what_does_not_need_it_goes_on_without(
    suite: Suite, api: Api, docker: Docker, calm: str, name: str, refused: int
) -> None:
    untouched = docker.running(calm)
    assert len(untouched) == 1
    paths, deploys = UNAFFECTED[name]
    with stopped(suite, name) as until:
        while time.monotonic() < until:
            reads(api, paths, AT_ONCE, {200})
            if deploys:
                deploy = api.call("POST", f"/v1/services/{calm}/deploy", {})
                assert api.deployed(calm, deploy, within=AGAIN)["state"] == "success"
        reads(api, tuple(path for path in EVERYTHING if path not in paths)[:refused], DEADLINE, {200, 503, 504})
    soon(lambda: well(api, docker, calm), within=AGAIN, message=f"all is well once {name} goes on")
    assert api.deploy(calm)["state"] == "success"
    assert docker.running(calm) == untouched
