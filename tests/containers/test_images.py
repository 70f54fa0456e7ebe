"""What `make images` builds: small, labelled, harmless, and stopped without a kill."""

import json
import time
from typing import Any

import pytest

from tests.support.compose import Compose
from tests.support.engine import Engine
from tests.support.images import TAG, docker


def inspect(engine: Engine, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker(engine.host, "inspect", name))
    return found[0]


@pytest.mark.parametrize(("image", "limit_mb"), [("suite", 650), ("agent", 420)])
def test_an_image_says_what_it_holds_and_is_not_larger_than_said(engine: Engine, image: str, limit_mb: int) -> None:
    found = inspect(engine, f"kontena/{image}:{TAG}")
    size = found["Size"] / 1e6
    print(f"image {image}: {size:.0f} MB, its base included")  # noqa: T201
    assert size < limit_mb
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"]
    assert labels["org.opencontainers.image.revision"]
    assert found["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-m", "deploy.health"]


def test_the_processes_of_the_suite_may_do_nothing_beside_their_work(engine: Engine, compose: Compose) -> None:
    for service in ("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge", "gateway"):
        name = compose.container(service)
        host = inspect(engine, name)["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        status = docker(engine.host, "exec", name, "cat", "/proc/1/status")
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert set(uids) == {"10001"}, service


def test_a_word_that_is_no_role_is_answered_with_the_roles(engine: Engine) -> None:
    done = docker(engine.host, "run", "-d", f"kontena/suite:{TAG}", "auth")
    assert docker(engine.host, "wait", done) == "2"
    docker(engine.host, "rm", done)


@pytest.mark.heavy
@pytest.mark.parametrize("service", ["auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge", "gateway"])
def test_a_process_ends_by_itself_when_asked(engine: Engine, compose: Compose, service: str) -> None:
    name = compose.container(service, 2)
    started = time.monotonic()
    docker(engine.host, "stop", "-t", "30", name)
    stopped = time.monotonic() - started
    assert inspect(engine, name)["State"]["ExitCode"] == 0
    assert stopped < 25
    docker(engine.host, "start", name)
    compose.scale()
    print(f"{service}: stopped after {stopped:.1f} s, healthy again after {time.monotonic() - started - stopped:.1f} s")  # noqa: T201
