"""gRPC channels to the master for the stubs in `kontena.*.v1`: token, deadline and retries are set up.

with channel("https://master.example:9292", token) as master:
    services = ServiceServiceStub(master)
    services.ListServices(ListServicesRequest(grid="local"))
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
import grpc.aio

from kontena_rest.rpcs import READS

DEADLINE_SECONDS = 30.0
# What only reads is called again while the master is away for a moment. Everything else is called again by gRPC itself
# as long as nobody has seen it.
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": service, "method": method} for service, method in READS],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def channel(url: str, token: str, *, deadline: float = DEADLINE_SECONDS, ca: bytes | None = None) -> grpc.Channel:
    """A channel for code that waits. Each call with one answer ends after `deadline` seconds unless it says `timeout`
    itself; streams end when the caller ends them. `ca` has PEM certificates of authorities other than those of the
    machine."""
    host, secure = _target(url)
    if secure:
        opened = grpc.secure_channel(host, grpc.ssl_channel_credentials(ca), _OPTIONS)
    else:
        opened = grpc.insecure_channel(host, _OPTIONS)
    return grpc.intercept_channel(opened, _Waiting(token, deadline))


def aio_channel(
    url: str, token: str, *, deadline: float = DEADLINE_SECONDS, ca: bytes | None = None
) -> grpc.aio.Channel:
    """The same for asyncio."""
    host, secure = _target(url)
    kinds = (_AsyncUnaryUnary, _AsyncUnaryStream, _AsyncStreamUnary, _AsyncStreamStream)
    interceptors = [kind(token, deadline) for kind in kinds]
    if secure:
        credentials = grpc.ssl_channel_credentials(ca)
        return grpc.aio.secure_channel(host, credentials, _OPTIONS, interceptors=interceptors)
    return grpc.aio.insecure_channel(host, _OPTIONS, interceptors=interceptors)


def _target(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the address of the master must look like https://host:port, not {url!r}")
    secure = parts.scheme == "https"
    return f"{parts.hostname}:{parts.port or (443 if secure else 80)}", secure


class _Details(NamedTuple):
    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any = None


class _Call:
    """Adds what every call has."""

    def __init__(self, token: str, deadline: float) -> None:
        self._authorization = ("authorization", f"Bearer {token}")
        self._deadline = deadline

    def _details(self, given: Any, *, bounded: bool) -> Any:
        timeout = self._deadline if bounded and given.timeout is None else given.timeout
        metadata = [*(given.metadata or ()), self._authorization]
        return _Details(given.method, timeout, metadata, given.credentials, given.wait_for_ready)


class _Waiting(
    _Call,
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def intercept_unary_unary(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        return go_on(self._details(details, bounded=True), request)

    def intercept_unary_stream(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        return go_on(self._details(details, bounded=False), request)

    def intercept_stream_unary(self, go_on: Callable[..., Any], details: Any, requests: Any) -> Any:
        return go_on(self._details(details, bounded=True), requests)

    def intercept_stream_stream(self, go_on: Callable[..., Any], details: Any, requests: Any) -> Any:
        return go_on(self._details(details, bounded=False), requests)


class _AsyncCall(_Call):
    def _details(self, given: Any, *, bounded: bool) -> Any:
        found = super()._details(given, bounded=bounded)
        metadata = grpc.aio.Metadata(*found.metadata)
        return grpc.aio.ClientCallDetails(
            found.method, found.timeout, metadata, found.credentials, found.wait_for_ready
        )


class _AsyncUnaryUnary(_AsyncCall, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        return await go_on(self._details(details, bounded=True), request)


class _AsyncUnaryStream(_AsyncCall, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        return await go_on(self._details(details, bounded=False), request)


class _AsyncStreamUnary(_AsyncCall, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, go_on: Callable[..., Any], details: Any, requests: Any) -> Any:
        return await go_on(self._details(details, bounded=True), requests)


class _AsyncStreamStream(_AsyncCall, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, go_on: Callable[..., Any], details: Any, requests: Any) -> Any:
        return await go_on(self._details(details, bounded=False), requests)
