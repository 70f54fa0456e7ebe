"""Traces, where the operator names a collector: a span for each unary call of a trace that a caller began, and for each
statement in it.

The gateway begins traces; loops and streams, which go on for days, have none. OpenTelemetry is an extra (`tracing`),
imported only when it is used: without a collector all of this costs a comparison.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import sqlalchemy as sa

Handler = Callable[[Any, Any], Awaitable[Any]]

# None while nothing is traced.
_tracer: Any = None


def configure(service: str, collector: str) -> None:
    """Send spans to a collector, `http://HOST:PORT` of OTLP over gRPC (`https://` for TLS); nothing without one.

    Ends the process with the reason when the extra is not installed.
    """
    global _tracer  # noqa: PLW0603 -- once, before anything is served; there is one tracer in a process.
    if not collector:
        return
    try:
        from opentelemetry import trace  # noqa: PLC0415 -- an extra that few need.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased  # noqa: PLC0415
    except ImportError as error:
        raise SystemExit(f"TRACES_COLLECTOR needs the packages of the extra `tracing`: {error}") from error
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), sampler=ParentBased(root=ALWAYS_OFF))
    exporter = OTLPSpanExporter(endpoint=collector, insecure=not collector.startswith("https://"), timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("kontena")


def traced(method: str, handler: Handler) -> Handler:
    """The handler of a unary call, within a span that is part of the trace that the call's metadata names."""
    if _tracer is None:
        return handler
    from opentelemetry.propagate import extract  # noqa: PLC0415
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    service, _, name = method.removeprefix("/").partition("/")
    named = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

    async def run(request: Any, context: Any) -> Any:
        parent = extract({key: value for key, value in context.invocation_metadata() if isinstance(value, str)})
        with _tracer.start_as_current_span(f"{service}/{name}", parent, kind=SpanKind.SERVER, attributes=named):
            return await handler(request, context)

    return run


def outcome(code: grpc.StatusCode) -> None:
    """Tell how the present call ended."""
    if _tracer is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span  # noqa: PLC0415

    span = get_current_span()
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE):
        span.set_status(Status(StatusCode.ERROR, code.name))


def carry(metadata: grpc.aio.Metadata) -> None:
    """Let a call to another service be part of the present trace."""
    if _tracer is None:
        return
    from opentelemetry.propagate import inject  # noqa: PLC0415

    carried: dict[str, str] = {}
    inject(carried)
    for name, value in carried.items():
        metadata.add(name, value)


def statements(engine: sa.Engine) -> None:
    """Make a span of each statement of the engine. Its text has no values, which are sent apart."""
    if _tracer is None:
        return
    sa.event.listen(engine, "before_cursor_execute", _begin)
    sa.event.listen(engine, "after_cursor_execute", _end)
    sa.event.listen(engine, "handle_error", _fail)


def _begin(_connection: Any, _cursor: Any, statement: str, _given: Any, context: Any, _many: bool) -> None:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    named = {"db.system": "postgresql", "db.statement": statement}
    verb = statement.split(maxsplit=1)[0].upper()
    context.kontena_span = _tracer.start_span(verb, kind=SpanKind.CLIENT, attributes=named)


def _end(_connection: Any, _cursor: Any, _statement: str, _given: Any, context: Any, _many: bool) -> None:
    context.kontena_span.end()


def _fail(failure: Any) -> None:
    span = getattr(failure.execution_context, "kontena_span", None)
    if span is not None:
        span.record_exception(failure.original_exception)
        span.end()
