"""A second process of each service joins and leaves the running suite under load, and no request fails."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from deploy.local import probes
from deploy.local.processes import envoy_config, gateway_env, service_env
from deploy.local.settings import SERVICES, LocalSettings, load_secrets
from tests.support.suite import Api, Suite, soon

READS = {
    "auth": "/v1/user",
    "grid": "/v1/grids/{grid}/nodes",
    "deploy": "/v1/grids/{grid}/services",
    "vault": "/v1/grids/{grid}/secrets",
}
WRITES = {
    # Refused, but only by the service itself.
    "auth": ("POST", "/v1/users/nobody/roles", {"role": "nope"}),
    "grid": ("PUT", "/v1/nodes/{grid}/no-such-node", {"labels": []}),
    "deploy": ("POST", "/v1/services/{grid}/null/nope/scale", {"instances": 1}),
    "vault": ("PUT", "/v1/secrets/{grid}/nope", {"value": "x"}),
}


@contextmanager
def load(api: Api, service: str) -> Iterator[Counter[object]]:
    """Reads and writes of one service until the block ends."""
    outcomes: Counter[object] = Counter()
    stop = threading.Event()
    method, path, body = WRITES[service]

    def client() -> None:
        with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.token}"}, timeout=20) as http:
            while not stop.is_set():
                try:
                    read = http.get(READS[service].format(grid=api.grid))
                    write = http.request(method, path.format(grid=api.grid), json=body)
                    outcomes["read", read.status_code] += 1
                    outcomes["write", write.status_code] += 1
                except httpx.HTTPError as error:
                    outcomes[repr(error)] += 1

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in clients:
            thread.join(30)


@pytest.mark.parametrize("name", SERVICES)
def test_a_second_process_joins_and_leaves_unnoticed(suite: Suite, api: Api, name: str) -> None:
    settings = LocalSettings(var=suite.var, port=int(suite.env["KONTENA_PORT"]), port_base=suite.port_base)
    second = f"127.0.0.1:{suite.port_base + 25}"
    python = f"{suite.folder}:{suite.folder}/gen"

    def addresses(*found: str) -> None:
        env = {**gateway_env(settings), f"GATEWAY_{name.upper()}_ADDRESSES": ",".join(found), "PYTHONPATH": python}
        command = [sys.executable, "-m", "gateway", "render", str(envoy_config(settings))]
        subprocess.run(command, env=env, cwd=suite.folder, check=True)

    def served() -> bool:
        admin = httpx.get(f"http://127.0.0.1:{settings.admin_port}/clusters").text
        lines = [line for line in admin.splitlines() if line.startswith(f"{name}::{second}::rq_success::")]
        return any(int(line.rpartition("::")[2]) > 20 for line in lines)

    env = {**service_env(settings, load_secrets(settings), name), "PYTHONPATH": python}
    env |= {"LISTEN_ADDRESS": second, "METRICS_ADDRESS": ""}
    command = [str(suite.folder / ".venv/bin/python"), "-m", f"services.{name}_svc"]
    with load(api, name) as outcomes:
        process = subprocess.Popen(command, env=env, cwd=suite.folder, stderr=subprocess.DEVNULL)
        try:
            soon(lambda: probes.service_serves(second), message=f"the second {name}_svc serves")
            addresses(settings.address(name), second)
            soon(served, message="it gets its share")
            # As an orchestrator would: the process first, its address later.
            process.terminate()
            process.wait(20)
            seen = sum(outcomes.values())
            soon(lambda: sum(outcomes.values()) > seen + 50, message="the load goes on")
        finally:
            process.kill()
            process.wait(20)
            addresses(settings.address(name))
    assert {kind for kind in outcomes if kind != ("read", 200)} <= {("write", 404), ("write", 422)}, outcomes
