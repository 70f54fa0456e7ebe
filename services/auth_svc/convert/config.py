"""Configuration values on the wire: any JSON."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value

from services.auth_svc.domain.configuration import Json

_LARGEST_EXACT = 2.0**53


def values_to_proto(values: Mapping[str, Json]) -> Struct:
    """The values as a free-form object."""
    return ParseDict(dict(values), Struct())


def values_from_proto(struct: Struct) -> dict[str, Json]:
    """The values of a free-form object; whole numbers are integers."""
    return {key: _json(value) for key, value in struct.fields.items()}


def _json(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _LARGEST_EXACT else number
        case "list_value":
            return [_json(item) for item in value.list_value.values]
        case "struct_value":
            return values_from_proto(value.struct_value)
        case _:
            return None
