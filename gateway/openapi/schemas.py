"""JSON schemas of messages, as the transcoder reads and writes them (proto3 JSON with the field names of the protos).

Answers always carry fields without presence, so those are `required`. Requests may leave out or null anything: what is
needed is for the service to say. They also may spell numbers as text.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

_INT32 = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32 = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}
# JSON numbers cannot hold them, so they travel as text.
_INT64 = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
_NUMBER = {"type": "number", "format": "double"}
_SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: _NUMBER,
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), _UINT32),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), _INT64),
}
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
    "google.protobuf.Empty": {"type": "object"},
    "google.api.HttpBody": {},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.Int32Value": _INT32,
    "google.protobuf.DoubleValue": _NUMBER,
}
# Typed gRPC callers name changed attributes here; for REST callers the members of the body say it.
FIELD_MASK = "google.protobuf.FieldMask"


class Schemas:
    """Makes schemas and collects those of the messages they mention in `components`."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Schema] = {}

    def reply(self, message: Descriptor) -> Schema:
        """The schema of an answer."""
        return self._named(message, "", self._reply_object)

    def request(self, message: Descriptor, without: Set[str] = frozenset()) -> Schema:
        """The schema of a body that is `message`, without the fields that its path decides."""
        known = _WELL_KNOWN.get(message.full_name)
        return dict(known) if known is not None else self._request_object(message, without)

    def parameter(self, field: FieldDescriptor) -> Schema:
        """The schema of a query or path parameter."""
        single = self._single(field, self._request_reference)
        return {"type": "array", "items": single} if field.is_repeated else single

    def _named(self, message: Descriptor, suffix: str, make: Callable[[Descriptor], Schema]) -> Schema:
        known = _WELL_KNOWN.get(message.full_name)
        if known is not None:
            return dict(known)
        name = message.full_name.removeprefix("kontena.") + suffix
        if name not in self.components:
            self.components[name] = {}  # Messages may contain themselves.
            self.components[name] = make(message)
        return {"$ref": f"#/components/schemas/{name}"}

    def _reply_object(self, message: Descriptor) -> Schema:
        properties = {field.name: self._described(field, self._field(field, self.reply)) for field in message.fields}
        required = [field.name for field in message.fields if not field.has_presence]
        return self._object(message, properties) | ({"required": required} if required else {})

    def _request_reference(self, message: Descriptor) -> Schema:
        return self._named(message, "Input", self._request_object)

    def _request_object(self, message: Descriptor, without: Set[str] = frozenset()) -> Schema:
        properties = {
            field.name: self._described(field, _nullable(self._field(field, self._request_reference, lenient)))
            for field in message.fields
            if field.name not in without and not is_field_mask(field)
        }
        return self._object(message, properties)

    def _object(self, message: Descriptor, properties: dict[str, Schema]) -> Schema:
        described = {"description": text} if (text := self._comments.get(message.full_name)) else {}
        return {"type": "object", **described, "properties": properties}

    def _field(
        self,
        field: FieldDescriptor,
        of_message: Callable[[Descriptor], Schema],
        adapt: Callable[[Schema], Schema] = dict,
    ) -> Schema:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": adapt(self._single(value, of_message))}
        single = adapt(self._single(field, of_message))
        return {"type": "array", "items": single} if field.is_repeated else single

    def _single(self, field: FieldDescriptor, of_message: Callable[[Descriptor], Schema]) -> Schema:
        if field.message_type is not None:
            return of_message(field.message_type)
        if field.enum_type is not None:
            return _enum(field.enum_type)
        return dict(_SCALARS[field.type])

    def _described(self, field: FieldDescriptor, schema: Schema) -> Schema:
        text = self._comments.get(field.full_name)
        return {"description": text, **schema} if text else schema


def is_field_mask(field: FieldDescriptor) -> bool:
    """True for fields that REST callers never set."""
    return field.message_type is not None and field.message_type.full_name == FIELD_MASK


def lenient(schema: Schema) -> Schema:
    """Numbers may be spelled as text."""
    if schema.get("type") in {"integer", "number"}:
        return {**schema, "type": [schema["type"], "string"]}
    return schema


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kind = schema.get("type")
    if kind is None:
        return schema
    return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}


def _enum(enum: EnumDescriptor) -> Schema:
    return {"type": "string", "enum": [value.name for value in enum.values]}
