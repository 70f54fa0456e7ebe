"""The suite on a Postgres with a synchronous standby, under load: the primary is killed, the standby promoted, and
services go on by themselves. No acknowledged write is lost, no answer is worse than a 503 that says when to try again.
"""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.settings import read_env
from tests.support.ledger import Ledger
from tests.support.ports import free_block
from tests.support.standby import Pair
from tests.support.suite import REPOSITORY, Api, soon
from tests.support.work import prepare

READS = ("/v1/user", "/v1/grids", "/v1/grids/local/nodes", "/v1/grids/local/services", "/v1/grids/local/secrets")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        yield pair


@pytest.fixture(scope="module")
def api(pair: Pair) -> Iterator[Api]:
    """A suite of its own, whose node only pretends to run containers: this is about the database."""
    with tempfile.TemporaryDirectory(prefix="kfail") as folder:
        var, base = Path(folder) / "var", free_block(30)
        env = {
            **os.environ,
            "KONTENA_VAR": str(var),
            "KONTENA_PORT": str(base + 29),
            "KONTENA_PORT_BASE": str(base),
            "KONTENA_RUNTIME": "hollow",
            "KONTENA_DATABASE_URL": pair.url,
        }

        def local(command: str) -> None:
            words = [sys.executable, "-m", "deploy.local", command]
            done = subprocess.run(words, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"

        try:
            local("up")
            master = read_env(var / "master.env")
            yield Api(master["KONTENA_URL"], master["KONTENA_TOKEN"], master["KONTENA_GRID"])
        finally:
            local("down")


@pytest.mark.heavy
def test_nothing_acknowledged_is_lost_when_the_standby_takes_over(pair: Pair, api: Api) -> None:
    grid = f"failover-{uuid.uuid4().hex[:8]}"
    prepare(api, grid, 1)
    body = {"name": "deployed", "image": "none/none", "stateful": False, "cmd": ["sleep", "1"]}
    deployed = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    with Ledger(api, grid, deployed) as ledger:
        soon(lambda: ledger.acknowledged > 40, message="there is a load")
        pair.primary.kill()
        soon(lambda: ledger.answers["write 503"] > 3, message="writes are refused while there is no primary")
        pair.standby.promote()
        before, promoted = ledger.acknowledged, time.monotonic()
        soon(lambda: ledger.acknowledged > before, message="a write is done")
        print(f"\na write was done {time.monotonic() - promoted:.1f} s after the promotion")  # noqa: T201
        soon(
            lambda: [api.request("GET", path).status_code for path in READS] == [200] * len(READS), message="all answer"
        )
        soon(lambda: ledger.acknowledged > before + 40, message="the load goes on")
        ended = len(ledger.deploys.ended)
        soon(lambda: len(ledger.deploys.ended) > ended + 1, message="deploys go on")
    print(f"answers: {dict(sorted(ledger.answers.items()))}")  # noqa: T201
    assert ledger.check() == []
    assert all(told.startswith("success") for told in ledger.deploys.ended.values()), ledger.deploys.ended
