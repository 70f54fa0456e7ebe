"""What the protos say about each RPC: who may call it (docs/adr/0003-audience-in-protos.md)."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf import descriptor_pool

from kontena.common.v1 import options_pb2


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: full name as on the wire, audience of its service, and whether it is called without a token."""

    path: str
    audience: options_pb2.Audience.ValueType
    open: bool


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
            methods[path] = Method(path, audience, method.GetOptions().Extensions[options_pb2.open])
    return methods
