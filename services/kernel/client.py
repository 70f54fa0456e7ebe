"""Channels to other services of the suite: authenticated, with deadlines, retrying what is safe to repeat."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import grpc

from services.kernel import call, methods, tracing
from services.kernel.addresses import open_channel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import Unavailable
from services.kernel.identity import Callee
from services.kernel.settings import ServiceSettings

DEADLINE_SECONDS = 5.0
# For calls that an answer of ours waits for.
ANSWER_SECONDS = 3.0
OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")


class ServiceChannel:
    """A channel to one service, whose replicas have `addresses` (addresses.py); with a `callee` nobody else is talked
    to, over TLS."""

    def __init__(self, addresses: str, tokens: ClusterTokens, caller: str, callee: Callee | None = None) -> None:
        sign = _Credentials(tokens, caller)
        options = [*OPTIONS, ("grpc.service_config", _service_config())]
        self._channel = open_channel(addresses, options, [_SignUnary(sign), _SignStream(sign)], callee)

    def stub(self, factory: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A typed stub on this channel."""
        return factory(self._channel)

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        await self._channel.close()


class Channels:
    """To the services that one of them (`caller`) calls."""

    def __init__(self, settings: ServiceSettings, caller: str) -> None:
        self.tokens = settings.cluster_tokens()
        self._settings, self._caller = settings, caller
        self._opened: dict[str, ServiceChannel] = {}

    def to(self, name: Literal["auth", "grid", "deploy", "vault"]) -> ServiceChannel:
        """The channel to a service, opened when it is asked for first."""
        if name not in self._opened:
            addresses, callee = getattr(self._settings, f"{name}_address"), self._settings.callee(f"{name}-svc")
            self._opened[name] = ServiceChannel(addresses, self.tokens, self._caller, callee)
        return self._opened[name]

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._opened.values()))


async def ask(
    service: str,
    method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
    request: Request,
    within: float = ANSWER_SECONDS,
) -> Response:
    """The answer of a service. Raises Unavailable when there is none, NotImplementedError when it is of the version
    before and does not have the method."""
    try:
        return await method(request, timeout=within)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            raise NotImplementedError from None
        # Only the code is told: details of a failed call could quote what they were about.
        raise Unavailable(f"{service} does not answer ({error.code().name})") from None


def _service_config() -> str:
    """Every call is repeated that a stopping server took off the wire and gave to nobody: that is what CANCELLED means
    here, as no code of ours answers with it. What the protos call idempotent is repeated also when its fate is
    unknown."""
    names = [{"service": service, "method": method} for service, method in methods.repeatable()]
    unseen = {"name": [{}], "retryPolicy": _retry("CANCELLED")}
    repeatable = {"name": names, "retryPolicy": _retry("CANCELLED", "UNAVAILABLE")}
    configs = [unseen, repeatable] if names else [unseen]
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": configs})


def _retry(*codes: str) -> dict[str, Any]:
    # More than a second in all, and no more attempts than gRPC makes.
    backoff = {"initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2}
    return {"maxAttempts": 5, **backoff, "retryableStatusCodes": codes}


class _Credentials:
    """Adds the cluster token, the request id and a default deadline to outgoing calls."""

    def __init__(self, tokens: ClusterTokens, caller: str) -> None:
        self._tokens = tokens
        self._caller = caller

    def sign(self, details: Any, *, deadline: bool) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._tokens.for_service(self._caller)}")
        request_id = call.current().request_id
        if request_id:
            metadata.add("x-request-id", request_id)
        tracing.carry(metadata)
        timeout = details.timeout if details.timeout is not None or not deadline else DEADLINE_SECONDS
        return grpc.aio.ClientCallDetails(
            details.method, timeout, metadata, details.credentials, details.wait_for_ready
        )


class _SignUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, credentials: _Credentials) -> None:
        self._credentials = credentials

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._credentials.sign(details, deadline=True), request)


class _SignStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, credentials: _Credentials) -> None:
        self._credentials = credentials

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._credentials.sign(details, deadline=False), request)
