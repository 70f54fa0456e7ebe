"""A second process of each service joins and leaves the running suite under load, and no request fails."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

import httpx
import psutil
import pytest

from deploy.local import probes
from deploy.local.processes import envoy_config, gateway_env, service_env
from deploy.local.settings import SERVICES, LocalSettings, load_secrets
from tests.support.admin import admin_client
from tests.support.suite import Api, Suite, soon
from tests.support.work import WORK, Work, prepare, remove

pytestmark = pytest.mark.slow

CLIENTS = 3
SOAK = bool(os.environ.get("KONTENA_SOAK"))
ROUNDS = 10 if SOAK else 1
# Between the requests of a client, beside other tests.
PAUSE = 0.0 if SOAK else 0.2
# The others join and leave with `make test-heavy`.
OFTEN = ("deploy",)


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
        with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.token}"}, timeout=60) as http:
            for n in itertools.count(1):
                if stop.wait(PAUSE):
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


class Second:
    """A second process of a service. Its address is the gateway's from `joins` to the end of the block."""

    def __init__(self, suite: Suite, name: str) -> None:
        self.address = f"127.0.0.1:{suite.port_base + 25}"
        self._suite = suite
        self._name = name
        self._settings = LocalSettings(var=suite.var, port=int(suite.env["KONTENA_PORT"]), port_base=suite.port_base)
        self._python = f"{suite.folder}:{suite.folder}/gen"
        self.first = self._settings.address(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._render(self.first)

    def start(self) -> None:
        """Returns when it serves."""
        env = {**service_env(self._settings, load_secrets(self._settings), self._name), "PYTHONPATH": self._python}
        env |= {"LISTEN_ADDRESS": self.address, "METRICS_ADDRESS": "", "ENGINE_METRICS_ADDRESS": ""}
        command = [str(self._suite.folder / ".venv/bin/python"), "-m", f"services.{self._name}_svc"]
        self._process = subprocess.Popen(command, env=env, cwd=self._suite.folder, stderr=subprocess.DEVNULL)
        soon(lambda: probes.service_serves(self.address), message=f"the second {self._name}_svc serves")

    def stop(self) -> None:
        """As an orchestrator would: the process first, its address later."""
        self._process.terminate()
        self._process.wait(60)

    def joins(self) -> None:
        """Returns when it has got its share of the requests."""
        self._render(self.first, self.address)
        soon(lambda: self.served() > 10, message="it gets its share")

    def restart_first(self) -> None:
        """The supervisor starts it again."""
        [pid] = set(self._suite.pids(f"{self._name}_svc")) - {self._process.pid}
        os.kill(pid, signal.SIGTERM)
        soon(lambda: not psutil.pid_exists(pid), message="it ends")
        soon(lambda: probes.service_serves(self.first), message="it serves again")
        self.taken_back(self.first)

    def taken_back(self, address: str) -> None:
        """Returns when the gateway sends requests to it again."""
        soon(lambda: f"{self._name}::{address}::health_flags::healthy" in self._clusters(), message="it is well")

    def served(self) -> int:
        """How many requests the gateway has sent it."""
        start = f"{self._name}::{self.address}::rq_success::"
        return sum(int(line.removeprefix(start)) for line in self._clusters() if line.startswith(start))

    def _clusters(self) -> list[str]:
        with admin_client(self._settings.admin_socket) as admin:
            return admin.get("/clusters").text.splitlines()

    def _render(self, *addresses: str) -> None:
        known = {f"GATEWAY_{self._name.upper()}_ADDRESSES": ",".join(addresses), "PYTHONPATH": self._python}
        command = [sys.executable, "-m", "gateway", "render", str(envoy_config(self._settings))]
        env = {**gateway_env(self._settings), **known}
        # As `make up` does: nobody else reads what the suite keeps.
        subprocess.run(command, env=env, cwd=self._suite.folder, check=True, umask=0o077)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.heavy) for name in SERVICES]
)
def test_a_second_process_joins_and_leaves_unnoticed(suite: Suite, api: Api, grid: str, name: str) -> None:
    with Second(suite, name) as second, load(api, grid, WORK[name]) as outcomes:
        second.joins()
        second.stop()
        seen = sum(outcomes.values())
        soon(lambda: sum(outcomes.values()) > seen + 50, message="the load goes on")
    assert set(outcomes) == {("write", 200), ("read", 200)}, outcomes


@pytest.fixture
def box(api: Api, image: str) -> Iterator[str]:
    """Path of a running container."""
    body = {"image": image, "stateful": False, "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", {**body, "name": "rolled"}, status=201)["id"]
    api.deploy(service)

    def mirrored() -> str | None:
        [found] = api.call("GET", f"/v1/services/{service}/containers")["containers"]
        return str(found["id"]) if found["status"] == "running" else None

    yield soon(mirrored, message="the container is in the mirror")
    api.call("DELETE", f"/v1/services/{service}")


def test_a_rolling_restart_loses_no_command(suite: Suite, api: Api, box: str) -> None:
    """Each of two replicas in turn, whichever holds the stream of the node."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def run(client: int) -> None:
        with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.token}"}, timeout=60) as http:
            for n in itertools.count():
                if stop.wait(PAUSE):
                    return
                # Says that it ran only once: `mkdir` fails the second time.
                cmd = ["sh", "-c", f"mkdir /tmp/{client}-{n} && echo done"]
                try:
                    answer = http.post(f"/v1/containers/{box}/exec", json={"cmd": cmd}).text
                except httpx.HTTPError as error:
                    answer = repr(error)
                outcomes[answer] += 1

    def goes_on() -> None:
        seen = outcomes.total()

        def more() -> bool:
            assert outcomes.total() > seen + 5, outcomes
            return True

        soon(more, message="the load goes on")

    with Second(suite, "deploy") as second, ThreadPoolExecutor(CLIENTS) as clients:
        loops = [clients.submit(run, client) for client in range(CLIENTS)]
        try:
            second.joins()
            for left in reversed(range(ROUNDS)):
                second.restart_first()
                goes_on()
                second.stop()
                goes_on()
                if left:
                    second.start()
                    second.taken_back(second.address)
        finally:
            stop.set()
        for loop in loops:
            loop.result()
    assert [json.loads(answer) for answer in outcomes] == [[["done\n"], [], 0]], outcomes
