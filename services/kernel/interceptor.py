"""The one server interceptor: call context, authentication, errors, log line and metrics around every RPC."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache, partial
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import Counter, Histogram

from services.kernel import call as calls
from services.kernel import encoded, tracing
from services.kernel.answers import DEFAULT_BYTES, Answers
from services.kernel.authn import Authenticator
from services.kernel.database_errors import translate_database_error
from services.kernel.errors import DomainError, Unavailable
from services.kernel.failed_tokens import FailedTokens
from services.kernel.identity import names_in
from services.kernel.logs import get_logger
from services.kernel.methods import texts
from services.kernel.reauthentication import Reauthentication
from services.kernel.requests import Requests
from services.kernel.streams import Streams

log = get_logger(__name__)

_HANDLED = Counter("grpc_server_handled_total", "RPCs by outcome.", ["method", "code"])
_SECONDS = Histogram("grpc_server_handling_seconds", "Time spent in unary RPCs.", ["method"])
# Many clients take 8 KiB of metadata in all; binary values grow by a third on the wire.
_METADATA_LIMIT = 4500
_VIOLATIONS_LIMIT, _LONGEST_VIOLATION = 1000, 300

# From the bytes of a call to what its method takes: one message, or all of them as they come.
Take = Callable[[AsyncIterator[bytes]], Awaitable[Any]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Guarantees: no RPC runs unauthenticated, and whatever is raised leaves as a status a client understands."""

    def __init__(
        self,
        authenticator: Authenticator,
        streams_per_user: int,
        failed_tokens: FailedTokens | None = None,
        *,
        mutual_tls: bool = False,
        large_answer_bytes: int = DEFAULT_BYTES,
    ) -> None:
        self._authenticator = authenticator
        self._failed_tokens = failed_tokens or FailedTokens()
        self._answers = Answers(large_answer_bytes)
        self._mutual_tls = mutual_tls
        self._streams = Streams()
        self._last_call = 0.0
        # What was made of the handler of each method, which stays the same.
        self._handlers: dict[str, tuple[Any, Any]] = {}
        self._callers = Reauthentication(authenticator, self._streams, streams_per_user)

    def end_streams(self) -> None:
        """End all streams now and any that begins later with UNAVAILABLE: their clients find another replica."""
        self._streams.end()

    async def quiet(self, pause: float, limit: float) -> None:
        """Return when no call has begun for `pause` seconds, after `limit` seconds in any case. Probes do not count."""
        end = time.monotonic() + limit
        while (left := min(end, self._last_call + pause) - time.monotonic()) > 0:  # noqa: ASYNC110 -- an event per call would cost each of them.
            await asyncio.sleep(left)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        if not details.method.startswith("/grpc.health."):
            self._last_call = time.monotonic()
        handler = await continuation(details)
        if handler is None:
            return None
        known = self._handlers.get(details.method)
        if known is None or known[0] is not handler:
            known = self._handlers[details.method] = handler, self._handler(details.method, handler)
        return known[1]

    def _handler(self, method: str, handler: Any) -> Any:
        streaming = handler.response_streaming
        inner = next(
            filter(None, (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream))
        )
        if handler.request_streaming and not streaming:
            inner = self._streams.ending(inner)
        known = self._authenticator.method(method)
        requests = Requests(known, handler.request_deserializer)
        if known is not None and known.large and not handler.request_streaming:
            inner = self._in_room(method, requests, inner)
            run = self._unary(method, requests.first, inner)
            return grpc.stream_unary_rpc_method_handler(tracing.traced(method, run))
        take = _many(requests) if handler.request_streaming else requests.one
        # Nothing is read of a call that takes a stream of bytes until its caller is known (requests.py).
        if streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(method, take, inner), None, handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(
            tracing.traced(method, self._unary(method, take, inner)), None, encoded.serialize
        )

    def _unary(self, method: str, take: Take, inner: Any) -> Any:
        seconds = _SECONDS.labels(method)

        async def run(raw: Any, context: Any) -> Any:
            started = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                call = await self._begin(method, context)
                response = await inner(await take(raw), context)
                await _send_reply_metadata(call, context)
                return response
            except Exception as error:
                refusal = _refusal(error, method)
                code = refusal.code
                await _abort(refusal, context)
            finally:
                tracing.outcome(code)
                seconds.observe(time.perf_counter() - started)
                _finish(method, code, started)

        return run

    def _in_room(self, method: str, requests: Requests, inner: Any) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """The same method from bytes to bytes: nothing but these is there while it waits, and afterwards."""

        async def run(raw: bytes, context: Any) -> bytes:
            principal = calls.current().principal
            caller = "" if principal is None else principal.user_id or principal.service
            async with self._answers.room(method, raw, caller) as answer:
                made = encoded.serialize(await inner(requests.decode(raw, first=True), context))
                answer.size = len(made)
            return made

        return run

    def _streaming(self, method: str, take: Take, inner: Any) -> Any:
        async def run(raw: Any, context: Any) -> AsyncIterator[Any]:
            started = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                call = await self._begin(method, context)
                request = await take(raw)
                with self._callers.following(method, texts(context), call.principal):
                    async for response in self._streams.guarded(inner(request, context)):
                        yield response
            except Exception as error:
                refusal = _refusal(error, method)
                code = refusal.code
                await _abort(refusal, context)
            finally:
                _finish(method, code, started)

        return run

    async def _begin(self, method: str, context: Any) -> calls.Call:
        metadata = texts(context)
        call = calls.from_metadata(method, metadata)
        calls.start(call)
        structlog.contextvars.bind_contextvars(request_id=call.request_id)
        certified = names_in(context.auth_context()) if self._mutual_tls else None
        authenticate = partial(self._authenticator.authenticate, method, metadata, certified)
        if self._authenticator.is_for_users(method):
            address, token = call.source_ip or _peer(context), metadata.get("authorization", "")
            call.principal = await self._failed_tokens.counted(address, token, authenticate)
        else:
            call.principal = await authenticate()
        return call


def _many(requests: Requests) -> Take:
    async def take(raw: AsyncIterator[bytes]) -> Any:
        return requests.stream(raw)

    return take


def _peer(context: Any) -> str:
    """The address that called us, which is the gateway's unless somebody goes past it."""
    kind, _, rest = str(context.peer()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


async def _send_reply_metadata(call: calls.Call, context: Any) -> None:
    metadata = list(call.reply_headers.items())
    if call.http_status is not None:
        metadata.append(("x-http-status", str(call.http_status)))
    if metadata:
        await context.send_initial_metadata(metadata)


def _refusal(error: Exception, method: str) -> DomainError:
    """What the caller is told. A fault of ours is logged with its cause and told as an internal error."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    known = to_domain_error(error)
    if known is not None and known is not error:
        log.warning("not now", method=method, told=known.message, error=repr(error)[:500])
    if known is None:
        log.error("rpc failed", method=method, exc_info=error)
        known = DomainError("Internal server error", reason="INTERNAL")
        known.code = grpc.StatusCode.INTERNAL
    if known.cause:
        log.error("refused", method=method, told=known.message, cause=known.cause)
    if isinstance(known, Unavailable) and (fate := calls.current().fate):
        known.message = f"{known.message.rstrip('.')}. {fate}"
    return known


async def _abort(refusal: DomainError, context: Any) -> None:
    """Answer with the status; always raises grpc's AbortError, which must not be swallowed."""
    await context.abort(refusal.code, refusal.message[:1000], status_metadata(refusal))


def to_domain_error(error: Exception) -> DomainError | None:
    """The public meaning of an exception, or None when it is a fault of ours."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ):
        return Unavailable("A service this request needs does not answer. Try again in a moment.")
    if isinstance(error, TimeoutError):
        return Unavailable("The request took too long. Try again in a moment.")
    return translate_database_error(error)


def status_metadata(error: DomainError) -> tuple[tuple[str, str | bytes], ...]:
    """Trailing metadata: HTTP status and body for the gateway; for gRPC callers ErrorInfo, RetryInfo where retrying
    later helps, and BadRequest where fields are wrong."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain="kontena"), *_bad_request(error)]
    if error.retry_seconds is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_seconds)))
    status = status_pb2.Status(code=error.code.value[0], message=error.message[:1000], details=map(_packed, details))
    body = json.dumps(error.body())
    if len(body) > _METADATA_LIMIT:
        body = json.dumps({"error": error.message[:1000]})
    return (
        ("x-http-status", str(error.http_status)),
        ("x-error-json", body),
        *error.headers().items(),
        ("grpc-status-details-bin", status.SerializeToString()),
    )


def _bad_request(error: DomainError) -> Iterator[error_details_pb2.BadRequest]:
    """The fields that are wrong, as many as metadata has room for."""
    bad = error_details_pb2.BadRequest()
    for field, text in error.violations().items():
        if bad.ByteSize() + len(field) + min(len(text), _LONGEST_VIOLATION) > _VIOLATIONS_LIMIT:
            break
        bad.field_violations.add(field=field, description=text[:_LONGEST_VIOLATION])
    if bad.field_violations:
        yield bad


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


# Both are as many as there are methods and outcomes.
@cache
def _handled(method: str, code: grpc.StatusCode) -> Counter:
    return _HANDLED.labels(method, code.name)


def _finish(method: str, code: grpc.StatusCode, started: float) -> None:
    _handled(method, code).inc()
    log.debug("rpc", method=method, grpc_status=code.name, seconds=round(time.perf_counter() - started, 4))
