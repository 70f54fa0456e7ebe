"""Helpers for the agent's long-lived calls."""

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

OPTIONS = (
    # A connection of its own for each agent, also where many run in one process: a connection has so many streams.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # Also the least time a connection attempt gets, TLS included.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
)
_PLAIN = ("http://", "grpc://", "ws://")
_SECURE = ("https://", "grpcs://", "wss://")


class StreamEnded(ConnectionError):
    """The other side ended a stream that should have stayed open, or stopped answering on it."""


def open_channel(uri: str, ca_file: Path | None) -> grpc.aio.Channel:
    """A channel to the master. `https://` or `grpcs://` means TLS, trusting `ca_file` or the system."""
    target, secure = parse_uri(uri)
    if not secure:
        return grpc.aio.insecure_channel(target, options=OPTIONS)
    bundle = ca_file or _system_bundle()
    credentials = grpc.ssl_channel_credentials(bundle.read_bytes() if bundle else None)
    return grpc.aio.secure_channel(target, credentials, options=OPTIONS)


def parse_uri(uri: str) -> tuple[str, bool]:
    """host:port and whether TLS is wanted."""
    secure = uri.startswith(_SECURE)
    plain = uri.startswith(_PLAIN)
    address = uri.partition("://")[2] if secure or plain else uri
    address = address.partition("/")[0]
    if not address or ("://" in uri and not secure and not plain):
        raise ValueError(f"KONTENA_URI names no host: {uri!r}")
    if ":" in address.rpartition("]")[2]:
        return address, secure
    return f"{address}:{443 if secure else 80 if plain else 9292}", secure


def _system_bundle() -> Path | None:
    paths = ssl.get_default_verify_paths()
    return next((Path(path) for path in (paths.cafile, paths.openssl_cafile) if path and Path(path).is_file()), None)


async def until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until the first one returns or raises, which this does as well; the others are cancelled and awaited."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    # The server's own words say more than the broken pipe of the task that was writing meanwhile.
    errors = [result for result in results if isinstance(result, Exception)]
    for error in sorted(errors, key=lambda error: not isinstance(error, grpc.aio.AioRpcError)):
        raise error
    if all(task.cancelled() for task in done):
        # grpc cancels whoever waits on a call that is gone; nobody cancelled us.
        raise StreamEnded("the call was cancelled")


async def write(call: Any, message: Any) -> None:
    """Send a message on a stream. Raises the status of the call when it has ended."""
    try:
        await call.write(message)
    except asyncio.InvalidStateError:
        await call.read()
        raise StreamEnded("the master ended the stream") from None


def reason_of(error: BaseException) -> str:
    """The machine-readable reason the master gave, else the gRPC status, else the kind of failure."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return type(error).__name__
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return str(info.reason)
    return str(error.code().name)


def describe(error: BaseException) -> str:
    """One line for the log."""
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"[:300]
    return (str(error) or type(error).__name__)[:300]
