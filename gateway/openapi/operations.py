"""One operation per REST form of a public RPC."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from gateway.catalog import Binding, Method
from gateway.openapi import responses
from gateway.openapi.paths import PathParameter, openapi_path
from gateway.openapi.schemas import Schema, Schemas, is_field_mask

_HTTP_BODY = "google.api.HttpBody"
_JSON, _FORM, _HTML = "application/json", "application/x-www-form-urlencoded", "text/html"
# Of answers whose comment says so: one document per line.
NDJSON = "application/x-ndjson"
_HEADERS = {
    "If-Match": "Do it only if the entity tag of the resource is still this one.",
    "Idempotency-Key": "A repeated request with the same key gets the first answer again.",
}


class Operations:
    """Makes operations; `ignored` are query parameters the gateway drops because paths decide them."""

    def __init__(self, schemas: Schemas, comments: Mapping[str, str], ignored: Set[str]) -> None:
        self._schemas = schemas
        self._comments = comments
        self._ignored = ignored

    def operation(
        self, method: Method, binding: Binding, rpc: MethodDescriptor, *, limited: bool
    ) -> tuple[str, dict[str, Any]]:
        """The path and the operation."""
        request = rpc.input_type
        comment = self._comments.get(rpc.full_name, "")
        path, in_path = openapi_path(
            binding.template, lambda field: self._comments.get(f"{request.full_name}.{field}", "")
        )
        taken = {parameter.field for parameter in in_path}
        query = list(self._query(rpc, binding, taken))
        body = self._body(rpc, binding, taken)
        failures = responses.error_statuses(method, binding, comment, has_query=bool(query), limited=limited)
        answered = responses.success(responses.success_statuses(comment), self._content(rpc, comment))
        return path, {
            "summary": _words(rpc.name),
            "description": comment,
            "parameters": [*(self._in_path(rpc, p) for p in in_path), *query, *_headers(comment)],
            **({"requestBody": body} if body else {}),
            "responses": {**answered, **responses.errors(failures, comment)},
            "security": [] if method.open else [{"token": []}],
        }

    def _in_path(self, rpc: MethodDescriptor, parameter: PathParameter) -> Schema:
        field = rpc.input_type.fields_by_name[parameter.field]
        comment = self._comments.get(field.full_name, "")
        text = (
            comment if parameter.part is None else f"{_words(parameter.name)}: part {parameter.part + 1} of {comment}"
        )
        schema = self._schemas.parameter(field)
        if schema.get("type") == "string":
            # A slash would end the segment; an escaped one never becomes one.
            schema |= {"minLength": 1, "pattern": "^[^/]+$"}
        return {"name": parameter.name, "in": "path", "required": True, "description": text, "schema": schema}

    def _query(self, rpc: MethodDescriptor, binding: Binding, taken: Set[str]) -> Iterator[Schema]:
        if binding.body == "*":
            return
        for field in rpc.input_type.fields:
            if field.name in taken or field.name == binding.body or not _fits_query(field):
                continue
            if field.name not in self._ignored:
                text = self._comments.get(field.full_name, "")
                yield {"name": field.name, "in": "query", "description": text, "schema": self._schemas.parameter(field)}

    def _body(self, rpc: MethodDescriptor, binding: Binding, taken: Set[str]) -> Schema | None:
        # What a body of GET means is not defined.
        if not binding.body or binding.verb == "GET":
            return None
        message = rpc.input_type
        if binding.body != "*":
            message, taken = message.fields_by_name[binding.body].message_type or message, frozenset()
        raw = message.full_name == _HTTP_BODY
        schema: Schema = {"type": "object"} if raw else self._schemas.request(message, taken)
        kinds = (_JSON, _FORM) if raw else (_JSON,)
        return {"content": {kind: {"schema": schema} for kind in kinds}}

    def _content(self, rpc: MethodDescriptor, comment: str) -> Schema:
        if rpc.output_type.full_name != _HTTP_BODY:
            return {_JSON: {"schema": self._schemas.reply(rpc.output_type)}}
        if "HTML" in comment:
            return {_HTML: {"schema": {"type": "string"}}}
        if "JSON lines" in comment:
            return {NDJSON: {"schema": {"type": "string"}}}
        content: Schema = {_JSON: {"schema": {}}}
        return {**content, _FORM: {"schema": {"type": "object"}}} if "a form" in comment else content


def _fits_query(field: FieldDescriptor) -> bool:
    return (field.message_type is None or not field.message_type.fields) and not is_field_mask(field)


def _headers(comment: str) -> list[Schema]:
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS.items()
        if name in comment
    ]


def _words(name: str) -> str:
    """`ListServiceLogs` and `service_logs` to words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name).lower()
    return words[:1].upper() + words[1:]
