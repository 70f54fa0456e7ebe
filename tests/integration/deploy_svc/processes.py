"""Processes of deploy_svc as operators start them, on the database and the stand-ins of a test."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.settings import ROOT
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import CLUSTER_SECRET


@dataclass
class Served:
    """A process that serves, with a channel to it."""

    process: psutil.Process
    channel: grpc.aio.Channel
    target: str

    def children(self) -> list[psutil.Process]:
        """The processes that it keeps beside it."""
        return self.process.children()


@asynccontextmanager
async def process(url: str, neighbours: str, role: str, **env: str) -> AsyncIterator[Served]:
    """`python -m services.deploy_svc` in this role, until the block ends."""
    address = f"127.0.0.1:{free_port()}"
    others = {f"{name}_ADDRESS": neighbours for name in ("AUTH", "GRID", "VAULT")}
    settings = {"DATABASE_URL": url, "CLUSTER_SECRET": CLUSTER_SECRET, "LISTEN_ADDRESS": address, "DEPLOY_ROLE": role}
    python = {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PATH": os.environ["PATH"]}
    started = await asyncio.to_thread(
        subprocess.Popen[bytes],
        [sys.executable, "-m", "services.deploy_svc"],
        env={**python, **others, **settings, **env},
        stderr=None if "LOG_LEVEL" in env else subprocess.DEVNULL,
    )
    channel = grpc.aio.insecure_channel(address)
    try:
        await eventually(lambda: _serves(channel), within=120, message=f"the process of the role {role} serves")
        yield Served(psutil.Process(started.pid), channel, address)
    finally:
        await channel.close()
        started.terminate()
        await asyncio.to_thread(started.wait)


async def _serves(channel: grpc.aio.Channel) -> bool:
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
