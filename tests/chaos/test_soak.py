"""Processes and Postgres die at random under load: what was acknowledged stays, every deploy is carried out once, no
answer is a 5xx but a 503 that says when to try again, and then memory stays what it is.

Half a minute, ten minutes with `make soak`. KONTENA_SEED repeats the order of deaths.
"""

import json
import os
import random
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.containers import Docker
from tests.support.ledger import Ledger
from tests.support.memory import Memory
from tests.support.mortality import Mortality, pids
from tests.support.sql import rows
from tests.support.suite import PROCESSES, Api, Suite, soon
from tests.support.work import prepare, remove

SOAK = bool(os.environ.get("KONTENA_SOAK"))
DYING, CALM = (420.0, 180.0) if SOAK else (24.0, 8.0)
# Allocators give back late, so only what could not go on for a day is a fault: in MiB, by the end of the calm. In the
# short form, processes that were just started still load what they need.
MOST_GROWTH = 16.0 if SOAK else 64.0
LEAST_WRITES = 2 * (DYING + CALM) if SOAK else 40
READS = ("/v1/user", "/v1/grids/local/nodes", "/v1/grids/local/services", "/v1/grids/local/secrets")


@pytest.fixture
def grid(api: Api) -> Iterator[str]:
    name = f"soak-{uuid.uuid4().hex[:8]}"
    prepare(api, name, 1)
    yield name
    remove(api, name, 1)


@pytest.fixture
def deployed(api: Api, docker: Docker, image: str) -> Iterator[str]:
    """A service of two containers that end by themselves for no reason of their own."""
    body = {"name": "soaked", "image": image, "stateful": False, "instances": 2, "cmd": ["sleep", "100000"]}
    service = str(
        api.call("POST", f"/v1/grids/{api.grid}/services", body | {"stop_grace_period": "0s"}, status=201)["id"]
    )
    api.deploy(service)
    yield service
    api.call("DELETE", f"/v1/services/{service}")
    soon(lambda: docker.all(service) == [], message="its containers are gone")


@contextmanager
def starts(docker: Docker, service: str, file: Path) -> Iterator[Callable[[], Counter[tuple[str, str]]]]:
    """How often the engine starts a container of the service, by deploy and instance number."""
    name = service.rpartition("/")[2]
    # From now on, also when the program takes a while to begin.
    since, label = f"{time.time():.9f}", f"label=io.kontena.service.name={name}"
    command = ["docker", "events", "--since", since, "--filter", "event=start", "--filter", label]
    with file.open("wb") as output:
        events = subprocess.Popen(
            [*command, "--format", "{{json .Actor.Attributes}}"],
            stdout=output,
            env={**os.environ, "DOCKER_HOST": docker.host},
        )

    def counted() -> Counter[tuple[str, str]]:
        lines = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
        prefix = "io.kontena."
        keys = (f"{prefix}container.deploy_rev", f"{prefix}service.instance_number")
        return Counter((line[keys[0]], line[keys[1]]) for line in lines)

    try:
        yield counted
    finally:
        events.terminate()
        events.wait(10)


def well(suite: Suite, api: Api) -> bool:
    """Every process runs, every service answers."""
    assert all(pids(suite, name) for name in (*PROCESSES, "postgres"))
    assert api.request("GET", "/readyz").status_code == 200
    return [api.request("GET", path).status_code for path in READS] == [200] * len(READS)


def test_nothing_acknowledged_is_lost_and_no_deploy_runs_twice(
    suite: Suite, api: Api, docker: Docker, grid: str, deployed: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("KONTENA_SEED") or random.randrange(1_000_000))
    print(f"\nKONTENA_SEED={seed}")  # noqa: T201
    with starts(docker, deployed, tmp_path / "events") as started, Ledger(api, grid, deployed) as ledger:
        with Mortality(suite, seed) as died:
            time.sleep(DYING)
        print(f"died: {died}")  # noqa: T201
        soon(lambda: well(suite, api), within=240, message="all is well again")
        soon(lambda: ledger.acknowledged > LEAST_WRITES, within=240, message="there was a load")
        soon(lambda: ledger.deploys.ended, within=240, message="deploys end")
        with Memory(suite) as memory:
            time.sleep(CALM)
    print(f"answers: {dict(sorted(ledger.answers.items()))}")  # noqa: T201
    for name, course in memory.courses.items():
        print(f"{name:12} {course}")  # noqa: T201
    assert ledger.check() == [], f"KONTENA_SEED={seed}"
    _deploys_ran_once(suite, deployed, ledger, started(), seed)
    growth = {name: course.slope * CALM / 1024 / 1024 for name, course in memory.courses.items()}
    assert {name for name, size in growth.items() if size > MOST_GROWTH} == set(), growth


def _deploys_ran_once(
    suite: Suite, deployed: str, ledger: Ledger, started: Counter[tuple[str, str]], seed: int
) -> None:
    found = rows(suite, _DEPLOYS)
    by_id = {row["id"]: row for row in found if row["name"] == deployed.rpartition("/")[2]}
    assert set(ledger.deploys.ids) <= set(by_id), f"an acknowledged deploy is lost, KONTENA_SEED={seed}"
    asked = [row for row in by_id.values() if row["cause"] == "request"]
    # The first one is the fixture's.
    assert len(asked) <= ledger.deploys.requests + 1, f"a request made two deploys, KONTENA_SEED={seed}"
    soon(lambda: all(row["finished_at"] for row in rows(suite, _DEPLOYS)), within=240, message="every deploy ends")
    assert set(ledger.deploys.ended.values()) == {"success"}, f"{ledger.deploys.ended}, KONTENA_SEED={seed}"
    twice = {key: number for key, number in started.items() if number > 1}
    assert twice == {}, f"KONTENA_SEED={seed}"
    assert len(started) >= len(ledger.deploys.ended)


_DEPLOYS = """
    select d.id, d.cause, d.state, d.deploy_rev, d.finished_at, s.name
    from deploy.service_deploys d join deploy.services s on s.id = d.service_id
"""
