"""The suite as `make up` brings it up."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.bench.cpu import family
from tests.bench.wrk import Request
from tests.support.suite import Api, Suite, soon

IMAGE = "kontena/e2e-busybox:1"
SERVICES = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")
# It ends when it is told to, so that rounds do not wait for a grace period.
COMMAND = ["sh", "-c", "trap exit TERM; sleep 3600 & wait"]
ENV = ["MODE=production", "LEVEL=info"]
_SERVICE = {"image": IMAGE, "stateful": False, "cmd": COMMAND, "env": ENV}


@dataclass
class Ours:
    """A grid `bench` with one of everything, and `sizes` services in grids of their own."""

    suite: Suite
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.suite.api()
        self._fill()

    def _fill(self) -> None:
        call = self.api.call
        call("POST", "/v1/grids", {"name": "bench"}, status=201)
        call("POST", "/v1/grids/bench/nodes", {"name": "node-1"}, status=201)
        call("POST", "/v1/grids/bench/services", {"name": "one", **_SERVICE}, status=201)
        stack = {"name": "shop", "stack": "bench/shop", "version": "1", "source": "", "registry": "file://"}
        services = [{"name": name, **_SERVICE} for name in ("web", "api", "db")]
        call("POST", "/v1/grids/bench/stacks", {**stack, "services": services}, status=201)
        call("POST", "/v1/grids/bench/secrets", {"name": "KEY", "value": "value"}, status=201)

    def clear(self) -> None:
        """Remove the grid `bench` with all that is in it."""
        self.api.call("DELETE", "/v1/stacks/bench/shop")
        for service in self.api.call("GET", "/v1/grids/bench/services")["services"]:
            if service["stack"]["name"] == "null":
                self.api.call("DELETE", f"/v1/services/{service['id']}")
        self.api.call("DELETE", "/v1/nodes/bench/node-1")
        soon(lambda: self.api.request("DELETE", "/v1/grids/bench").is_success, message="nothing is left in the grid")

    def list_of(self, count: int) -> Request:
        """The list of a grid with so many services, which it makes."""
        grid = f"list-{count}"
        self.api.call("POST", "/v1/grids", {"name": grid}, status=201)
        with httpx.Client(headers={"Authorization": f"Bearer {self.api.token}"}, timeout=60) as client:
            for number in range(count):
                body = {"name": f"s-{number}", **_SERVICE}
                client.post(f"{self.api.url}/v1/grids/{grid}/services", json=body).raise_for_status()
        return self.get(f"/v1/grids/{grid}/services")

    def get(self, path: str) -> Request:
        """A read."""
        return Request(f"{self.api.url}{path}", self.api.token)

    def post(self, path: str, body: Mapping[str, object]) -> Request:
        """A write."""
        return Request(f"{self.api.url}{path}", self.api.token, "POST", json.dumps(body))

    def reads(self) -> dict[str, tuple[str, Request]]:
        """One of everything: which service answers, and the request."""
        token = self.api.call("GET", "/oauth2/tokens")["tokens"][0]["id"]
        return {
            "get a service": ("deploy_svc", self.get("/v1/services/bench/null/one")),
            "get a stack": ("deploy_svc", self.get("/v1/stacks/bench/shop")),
            "get a grid": ("grid_svc", self.get("/v1/grids/bench")),
            "get a node": ("grid_svc", self.get("/v1/nodes/bench/node-1")),
            "get a secret": ("vault_svc", self.get("/v1/secrets/bench/KEY")),
            "get a token": ("auth_svc", self.get(f"/oauth2/tokens/{token}")),
        }

    def writes(self) -> dict[str, tuple[str, Request]]:
        """What makes something new each time."""
        return {
            "create a service": (
                "deploy_svc",
                self.post("/v1/grids/bench/services", {"name": "s-%N", **_SERVICE}),
            ),
            "create a secret": (
                "vault_svc",
                self.post("/v1/grids/bench/secrets", {"name": "S_%N", "value": "value"}),
            ),
        }

    def deploy(self, name: str, instances: int) -> None:
        """Make a service and deploy it; returns when that was accepted."""
        body = {"name": name, **_SERVICE, "instances": instances}
        self.api.call("POST", f"/v1/grids/{self.api.grid}/services", body, status=201)
        self.api.call("POST", f"/v1/services/{self.api.grid}/null/{name}/deploy", {})

    def remove(self, name: str) -> None:
        """Remove a service with its containers."""
        self.api.call("DELETE", f"/v1/services/{self.api.grid}/null/{name}")

    def processes(self) -> dict[str, list[int]]:
        """Process ids by part of the suite."""
        postmaster = int((self.suite.var / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        supervisor = int((self.suite.var / "circus.pid").read_text())
        names = (*SERVICES, "engine", "gateway", "exec_bridge", "agent")
        found = {name: self.suite.pids(name) for name in names}
        return {**found, "supervisor": [supervisor], "Postgres": family(postmaster)}

    def memory(self) -> dict[str, float]:
        """MiB of each part, what is shared counted in shares."""
        return {
            name: sum(psutil.Process(pid).memory_full_info().pss for pid in pids) / 2**20
            for name, pids in self.processes().items()
        }


@contextmanager
def suite(folder: Path, docker_host: str, **env: str) -> Iterator[Suite]:
    """`make up` in a copy of the tree, with more of an environment, until the block ends."""
    found = Suite(folder, docker_host)
    found.env |= env
    found.copy_tree()
    try:
        found.make("up")
        yield found
    finally:
        found.make("down")
