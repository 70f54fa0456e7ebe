"""Replicas of grid_svc as processes of their own behind a real Envoy, so that one can be killed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from gateway.settings import Endpoint
from tests.integration.gateway import proxy
from tests.support.ports import free_port
from tests.support.running import CLUSTER_SECRET

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Replica:
    """One process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)


@contextmanager
def replica(folder: Path, **environment: str) -> Iterator[Replica]:
    """`environment` is set on top of what every replica needs."""
    port = free_port()
    log = folder / f"grid_svc.{port}.log"
    env = {**os.environ, "LISTEN_ADDRESS": f"127.0.0.1:{port}", "CLUSTER_SECRET": CLUSTER_SECRET, **environment}
    # Compiled modules are kept: processes start here again and again.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.grid_svc"], cwd=REPOSITORY, env=env, stdout=output, stderr=output
        )
    try:
        yield Replica(process, port, log)
    finally:
        process.kill()
        process.wait(60)


@contextmanager
def behind_envoy(folder: Path, count: int, **environment: str) -> Iterator[tuple[str, list[Replica]]]:
    """Address of the gateway, and the replicas behind it, once all of them are healthy."""
    with ExitStack() as stack:
        replicas = [stack.enter_context(replica(folder, **environment)) for _ in range(count)]
        for each in replicas:
            proxy.eventually(each.listens, f"a replica that listens, see {each.log}", seconds=60)
        endpoints = tuple(Endpoint("127.0.0.1", each.port) for each in replicas)
        # Nobody calls the other services through this gateway, but it waits until all are healthy.
        config = proxy.settings(folder, replicas[0].port, grid_addresses=endpoints)
        gateway = stack.enter_context(proxy.running(config, folder))
        yield gateway.target, replicas


def channel(target: str) -> grpc.aio.Channel:
    """A channel with a connection of its own, as if from another machine."""
    return grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
