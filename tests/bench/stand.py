"""Servers that answer in place of deploy_svc of a running suite, and gateways in front of them."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

from deploy.local.processes import service_env
from deploy.local.settings import LocalSettings, read_env
from gateway.settings import Endpoint
from kontena.deploy.v1 import service_pb2 as pb
from tests.bench.ours import Ours
from tests.bench.wrk import Request
from tests.integration.gateway.proxy import running, settings
from tests.support.ports import free_port
from tests.support.suite import REPOSITORY, soon

PATH = "/v1/services/bench/null/one"
RPC = "/kontena.deploy.v1.ServiceService/GetService"


@dataclass(frozen=True)
class Served:
    """What listens on a port: one process, or several."""

    port: int
    pids: tuple[int, ...]

    def ready(self) -> None:
        """Return when each of its processes serves."""
        soon(lambda: all(map(self._listens, self.pids)), within=120, message="the floor serves")

    def _listens(self, pid: int) -> bool:
        connections = psutil.Process(pid).net_connections("tcp")
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == self.port for one in connections)


class Stand:
    """All of it lives in `folder` and ends with `stack`; users and the one answer are those of `ours`."""

    def __init__(self, ours: Ours, folder: Path, stack: ExitStack) -> None:
        local = LocalSettings(var=ours.suite.var, port_base=ours.suite.port_base)
        self.token = ours.api.token
        self._folder = folder
        self._stack = stack
        self._env = service_env(local, read_env(local.var / "secrets.env"), "deploy")
        self._message = folder / "message"
        self._message.write_bytes(_encoded_service(local.address("deploy"), self.token))

    def serve(self, module: str = "tests.bench.floor", *arguments: str, processes: int = 1) -> Served:
        """Start a module with the answer and `arguments`, in as many processes on one port."""
        port = free_port()
        env = self._env | {"LISTEN_ADDRESS": f"127.0.0.1:{port}", "METRICS_ADDRESS": ""}
        command = [sys.executable, "-m", module, str(self._message), *arguments]
        return Served(port, tuple(self._start(command, env) for _ in range(processes)))

    def _start(self, command: Sequence[str], env: Mapping[str, str]) -> int:
        with (self._folder / "floor.log").open("ab") as log:
            server = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=log, stderr=subprocess.STDOUT)
        self._stack.callback(server.wait, 15)
        self._stack.callback(server.terminate)
        return server.pid

    def gateway(
        self,
        *servers: Served,
        concurrency: int = 2,
        change: Callable[[Path], None] | None = None,
        **changes: Any,
    ) -> tuple[str, int]:
        """URL and process of a gateway in front of replicas, when all of it serves; see `running` for the others."""
        for served in servers:
            served.ready()
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        replicas = tuple(Endpoint("127.0.0.1", served.port) for served in servers)
        addresses = {f"{name}_addresses": replicas for name in ("auth", "grid", "deploy", "vault")}
        config = settings(folder, servers[0].port, **addresses, health_check_seconds=2.0, **changes)
        gateway = self._stack.enter_context(running(config, folder, concurrency, change))
        [envoy] = [
            process.pid
            for process in psutil.Process().children(recursive=True)
            if str(folder / "envoy.json") in " ".join(process.cmdline())
        ]
        return gateway.url, envoy


@dataclass(frozen=True)
class Floor:
    """A canned GetService behind a gateway as the suite has one."""

    request: Request
    processes: Callable[[], dict[str, list[int]]]


@contextmanager
def floor(ours: Ours, folder: Path) -> Iterator[Floor]:
    """Serves the answer for one service of `ours`, with the users of `ours`."""
    with ExitStack() as stack:
        stand = Stand(ours, folder, stack)
        server = stand.serve()
        url, envoy = stand.gateway(server)
        parts = {"gateway": [envoy], "floor": list(server.pids)}
        yield Floor(Request(f"{url}{PATH}", ours.api.token), lambda: parts)


def _encoded_service(address: str, token: str) -> bytes:
    with grpc.insecure_channel(address) as channel:
        get: Callable[..., bytes] = channel.unary_unary(RPC)
        asked = pb.GetServiceRequest(id="bench/null/one").SerializeToString()
        return get(asked, metadata=(("authorization", f"Bearer {token}"),), timeout=10)
