"""What the protos say about each service and RPC: who may call it (docs/adr/0003-audience-in-protos.md), what may be
repeated."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import grpc
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor

from kontena.common.v1 import options_pb2

# What grpc passes to a method; ours read the call instead (call.py).
Context = grpc.aio.ServicerContext[Any, Any]
# Bytes of one request message: what `request_limit_kb` says, else this.
DEFAULT_LIMIT = 64 * 1024
# Services are told what other services gathered, and cannot be called from outside.
INTERNAL_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: full name as on the wire, audience of its service, whether it is called without a token, how many bytes
    each of its request messages may have, whether it only reads, as its HTTP verb says, and whether its one answer may
    be large (answers.py).

    `message` describes these messages; None for internal ones, whose elements nobody counts.
    """

    path: str
    audience: options_pb2.Audience.ValueType
    open: bool
    request_limit: int = DEFAULT_LIMIT
    message: Descriptor | None = None
    reads: bool = False
    large: bool = False


def texts(context: Context) -> dict[str, str]:
    """The metadata of a call without binary values."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def describe(service_names: Iterable[str]) -> dict[str, Method]:
    """All methods of the named services by wire path. Raises ValueError for a service without an audience."""
    pool = descriptor_pool.Default()
    methods: dict[str, Method] = {}
    for name in service_names:
        service = pool.FindServiceByName(name)
        audience = service.GetOptions().Extensions[options_pb2.audience]
        if audience == options_pb2.AUDIENCE_UNSPECIFIED:
            raise ValueError(f"{name} names no audience: add option (kontena.common.v1.audience) to the proto")
        for method in service.methods:
            path = f"/{name}/{method.name}"
            options = method.GetOptions().Extensions
            internal = audience == options_pb2.AUDIENCE_INTERNAL
            limit = options[options_pb2.request_limit_kb] * 1024 or (INTERNAL_LIMIT if internal else DEFAULT_LIMIT)
            message = None if internal else method.input_type
            reads = bool(options[annotations_pb2.http].get)
            large = not internal and not method.server_streaming and _is_large(method.name, options)
            methods[path] = Method(path, audience, options[options_pb2.open], limit, message, reads, large)
    return methods


def service_name(servicer: object) -> str:
    """The full name of the service that a servicer implements."""
    base = _generated(servicer)
    # The stub of a service without messages of its own does not load what describes it.
    described = import_module(base.__module__.removesuffix("_grpc"))
    name: str = described.DESCRIPTOR.services_by_name[base.__name__.removesuffix("Servicer")].full_name
    return name


def register(servicer: object, server: Any) -> None:
    """Let a server answer the calls of the service that a servicer implements."""
    base = _generated(servicer)
    getattr(sys.modules[base.__module__], f"add_{base.__name__}_to_server")(servicer, server)


def repeatable() -> Iterator[tuple[str, str]]:
    """Service and method of each RPC that its proto calls idempotent, of all protos that this process has loaded."""
    loaded = [name for name in sys.modules if name.startswith("kontena.") and name.endswith("_pb2")]
    for module in sorted(loaded):
        for service in sys.modules[module].DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.GetOptions().idempotency_level != descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN:
                    yield service.full_name, method.name


def _generated(servicer: object) -> type:
    """The class of the generated code that a servicer derives from."""
    return next(base for base in type(servicer).__mro__ if base.__module__.endswith("_pb2_grpc"))


def _is_large(name: str, options: Any) -> bool:
    return name.startswith("List") or bool(options[options_pb2.large_answer])
