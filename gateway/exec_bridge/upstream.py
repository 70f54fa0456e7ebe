"""The gRPC side: opens the stream of a session before the upgrade, so that a refusal is an ordinary HTTP answer."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from gateway.exec_bridge.target import Target
from kontena.deploy.v1 import container_exec_pb2 as pb
from kontena.deploy.v1 import container_exec_pb2_grpc
from services.kernel.addresses import open_channel
from services.kernel.identity import Callee

_ACCEPTED = "x-accepted"
UNAVAILABLE = "Service unavailable. Try again in a moment."
_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


@dataclass(frozen=True)
class Refused(Exception):
    """The session is not opened: what to answer instead of the upgrade."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Upstream:
    """Opens streams on deploy_svc, which decides about every one: nothing is trusted here."""

    def __init__(self, addresses: str, open_seconds: float, callee: Callee | None = None) -> None:
        self._channel = open_channel(addresses, _OPTIONS, callee=callee)
        self._stub: Any = container_exec_pb2_grpc.ContainerExecServiceStub(self._channel)
        self._open_seconds = open_seconds

    def call(self, metadata: Mapping[str, str]) -> Any:
        """A new stream, not yet started. Whoever asks for it cancels it at the end."""
        # Waits for a connection: a deploy_svc that restarts is back within the deadline of `start`.
        return self._stub.AttachExec(metadata=tuple(metadata.items()), wait_for_ready=True)

    async def start(self, call: Any, target: Target) -> None:
        """Returns once the container is found and the caller may use it. Raises Refused."""
        try:
            async with asyncio.timeout(self._open_seconds):
                # Only then: grpc forgets the reason of a call that ends while something is written.
                if _ACCEPTED not in dict(await call.initial_metadata()):
                    raise await refusal(call)
                await call.write(pb.AttachExecRequest(start=target.start()))
                first = await anext(aiter(call), None)
                if first is None:
                    raise await refusal(call)
        except TimeoutError:
            raise unavailable() from None
        except grpc.aio.AioRpcError:
            raise await refusal(call) from None

    async def close(self) -> None:
        await self._channel.close()


def unavailable(text: str = UNAVAILABLE) -> Refused:
    """The answer while something is missing that is back soon."""
    return Refused(503, json.dumps({"error": text}), {"retry-after": "1"})


async def refusal(call: Any) -> Refused:
    """The HTTP answer for a stream that ended; deploy_svc words it (docs/errors.md)."""
    trailers = {key: value for key, value in await call.trailing_metadata() or () if isinstance(value, str)}
    if "x-error-json" in trailers and trailers.get("x-http-status", "").isdecimal():
        passed_on = {key: value for key, value in trailers.items() if key in ("www-authenticate", "retry-after")}
        return Refused(int(trailers["x-http-status"]), trailers["x-error-json"], passed_on)
    if await call.code() is grpc.StatusCode.UNAVAILABLE:
        return unavailable()
    return Refused(500, json.dumps({"error": "Internal server error"}))
