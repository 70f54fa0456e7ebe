"""What the protos say about each RPC: who may call it (docs/adr/0003-audience-in-protos.md)."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from kontena.common.v1 import options_pb2

# Bytes of one request message: what `request_limit_kb` says, else this.
DEFAULT_LIMIT = 64 * 1024
# Services are told what other services gathered, and cannot be called from outside.
INTERNAL_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: full name as on the wire, audience of its service, whether it is called without a token, how many bytes
    each of its request messages may have, and whether it only reads, as its HTTP verb says.

    `message` describes these messages; None for internal ones, whose elements nobody counts.
    """

    path: str
    audience: options_pb2.Audience.ValueType
    open: bool
    request_limit: int = DEFAULT_LIMIT
    message: Descriptor | None = None
    reads: bool = False


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
            methods[path] = Method(path, audience, options[options_pb2.open], limit, message, reads)
    return methods
