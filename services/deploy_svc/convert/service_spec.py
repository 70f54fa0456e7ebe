"""What a client gave of a service or a volume, with JSON types."""

from collections.abc import Collection
from typing import Any

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from services.deploy_svc.domain.service_input import CLEARED, Attributes


def attributes_from_proto(spec: Message, fields: Collection[str], nulls: Collection[str] = ()) -> Attributes:
    """What was given by name: None for an explicit null, no key for what was left out or for a list that is null,
    CLEARED for what a gRPC caller names in the update mask without a value. A member of an attribute is null then.

    `fields` and `nulls` are `present_fields` and `null_fields` of services.kernel.call.
    """
    given = _members(spec, fields, frozenset(fields) | frozenset(nulls), "")
    return given | {name: CLEARED for name, value in given.items() if value is None and name in fields}


def _members(
    message: Message, fields: Collection[str] = (), mentioned: Collection[str] = (), prefix: str = ""
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        name, path = field.name, prefix + field.name
        if field.is_repeated:
            values = getattr(message, name)
            if values or path in fields:
                given[name] = [_members(item) if isinstance(item, Message) else item for item in values]
        elif message.HasField(name):
            value = getattr(message, name)
            if isinstance(value, Value):
                given[name] = plain(value)
            else:
                nested = isinstance(value, Message)
                given[name] = _members(value, fields, mentioned, f"{path}.") if nested else value
        elif path in mentioned:
            given[name] = None
    return given


def plain(value: Value) -> Any:
    """The JSON value; whole numbers become int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: plain(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None
