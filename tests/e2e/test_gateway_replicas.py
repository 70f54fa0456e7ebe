"""A second process of each service joins and leaves the running suite under load, and no request fails."""

import itertools
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from deploy.local import probes
from deploy.local.processes import envoy_config, gateway_env, service_env
from deploy.local.settings import SERVICES, LocalSettings, load_secrets
from tests.support.suite import Api, Suite, soon
from tests.support.work import WORK, Work, prepare, remove

CLIENTS = 3


@pytest.fixture(scope="module")
def grid(api: Api) -> Iterator[str]:
    """Where the clients work."""
    name = f"replicas-{uuid.uuid4().hex[:8]}"
    prepare(api, name, CLIENTS)
    yield name
    remove(api, name, CLIENTS)


@contextmanager
def load(api: Api, grid: str, work: Work) -> Iterator[Counter[object]]:
    """Clients write and read back until the block ends; counts what came of it."""
    outcomes: Counter[object] = Counter()
    stop = threading.Event()
    verb, path = work.write

    def turn(http: httpx.Client, client: int, n: int) -> None:
        write = http.request(verb, path.format(grid=grid, client=client), json=work.body(client, n))
        read = http.get(work.read.format(grid=grid, client=client))
        outcomes["write", write.status_code] += 1
        outcomes["read", read.status_code] += 1
        if work.stream:
            outcomes["read", http.get(work.stream.format(grid=grid, client=client)).status_code] += 1
        if read.status_code == 200 and work.number(read.json()) != n:
            outcomes["lost or repeated", n, read.text] += 1

    def run(client: int) -> None:
        with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.token}"}, timeout=20) as http:
            for n in itertools.count(1):
                if stop.is_set():
                    return
                try:
                    turn(http, client, n)
                except httpx.HTTPError as error:
                    outcomes[repr(error)] += 1

    clients = [threading.Thread(target=run, args=(client,)) for client in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in clients:
            thread.join(60)


@pytest.mark.parametrize("name", SERVICES)
def test_a_second_process_joins_and_leaves_unnoticed(suite: Suite, api: Api, grid: str, name: str) -> None:
    settings = LocalSettings(var=suite.var, port=int(suite.env["KONTENA_PORT"]), port_base=suite.port_base)
    second = f"127.0.0.1:{suite.port_base + 25}"
    python = f"{suite.folder}:{suite.folder}/gen"

    def addresses(*found: str) -> None:
        env = {**gateway_env(settings), f"GATEWAY_{name.upper()}_ADDRESSES": ",".join(found), "PYTHONPATH": python}
        command = [sys.executable, "-m", "gateway", "render", str(envoy_config(settings))]
        # As `make up` does: nobody else reads what the suite keeps.
        subprocess.run(command, env=env, cwd=suite.folder, check=True, umask=0o077)

    def served() -> bool:
        admin = httpx.get(f"http://127.0.0.1:{settings.admin_port}/clusters").text
        lines = [line for line in admin.splitlines() if line.startswith(f"{name}::{second}::rq_success::")]
        return any(int(line.rpartition("::")[2]) > 20 for line in lines)

    env = {**service_env(settings, load_secrets(settings), name), "PYTHONPATH": python}
    env |= {"LISTEN_ADDRESS": second, "METRICS_ADDRESS": "", "ENGINE_METRICS_ADDRESS": ""}
    command = [str(suite.folder / ".venv/bin/python"), "-m", f"services.{name}_svc"]
    process = subprocess.Popen(command, env=env, cwd=suite.folder, stderr=subprocess.DEVNULL)
    try:
        soon(lambda: probes.service_serves(second), message=f"the second {name}_svc serves")
        with load(api, grid, WORK[name]) as outcomes:
            addresses(settings.address(name), second)
            soon(served, message="it gets its share")
            # As an orchestrator would: the process first, its address later.
            process.terminate()
            process.wait(60)
            seen = sum(outcomes.values())
            soon(lambda: sum(outcomes.values()) > seen + 50, message="the load goes on")
    finally:
        process.kill()
        process.wait()
        addresses(settings.address(name))
    assert set(outcomes) == {("write", 200), ("read", 200)}, outcomes
