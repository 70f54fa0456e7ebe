"""Waits on facts while the suite comes up."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import asyncpg
import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.logs import last_problem
from services.kernel.postgres import connect as connect_to


class NotUp(Exception):
    """Something did not become healthy in time; the message says what, and where to look."""


def wait_until(fact: str, check: Callable[[], bool], *, seconds: float, log: Path | None = None) -> None:
    """Poll `check` until it is true. Raises NotUp after `seconds`, with what `log` says went wrong."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            problem = log and last_problem(log)
            told = f" Its last problem: {problem}" if problem else ""
            raise NotUp(f"{fact} within {seconds:.0f} s.{told}{f' See {log}' if log else ''}")
        time.sleep(0.05)


def postgres_answers(url: str) -> bool:
    """Whether Postgres accepts a connection."""

    async def connect() -> bool:
        connection = await connect_to(url)
        await connection.close()
        return True

    try:
        return asyncio.run(connect())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: connections that just ended are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def service_serves(address: str) -> bool:
    """Whether a gRPC server says SERVING."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def http_status(url: str, token: str = "") -> int:
    """The status of a GET; 0 when nothing answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.get(url, headers=headers, timeout=2, verify=_trust()).status_code
    except httpx.HTTPError:
        return 0


@cache
def _trust() -> ssl.SSLContext:
    """Made once: it reads the authorities of this machine, which takes longer than a request, and this polls."""
    return ssl.create_default_context()
