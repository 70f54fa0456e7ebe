"""Writes the package `kontena_rest` from the OpenAPI document: a typed method for each call, documents as types.

`kontena_client` puts connection, token, deadline and retries below it; see docs/api.md.
"""

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.catalog import Service
from gateway.openapi.operations import NDJSON

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_VERBS = ("get", "put", "post", "delete", "patch")
_MADE = "Made by gateway/openapi/python_client.py."
_HEADERS = {"If-Match": "if_match", "Idempotency-Key": "idempotency_key"}
# What it answers without `follow`; kontena_client follows streams itself.
_STREAM = "follow"


def write(document: Mapping[str, Any], services: Iterable[Service], folder: Path) -> None:
    """Write the package into `folder`; equal documents give equal files. Raises ValueError for two types of a name."""
    package = folder / "kontena_rest"
    package.mkdir(parents=True, exist_ok=True)
    types = _Types(document["components"]["schemas"])
    operations = list(_operations(document))
    calls = [_method(types, operation, "") for operation in operations]
    waited = [_method(types, operation, "await ") for operation in operations]
    (package / "__init__.py").write_text(f'"""The REST API, call by call. {_MADE}"""\n')
    (package / "py.typed").write_text("")
    (package / "calls.py").write_text(_CALLS.format(made=_MADE, calls="\n".join(calls), waited="\n".join(waited)))
    (package / "documents.py").write_text(types.source())
    reads = [method.path for service in services if service.public for method in service.methods if method.is_read]
    rows = "".join(f"    {tuple(path.strip('/').split('/'))!r},\n" for path in sorted(reads))
    (package / "rpcs.py").write_text(f'"""RPCs that only read: (service, method). {_MADE}"""\n\nREADS = (\n{rows})\n')


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(verb, path, operation) of each call, by the name of its RPC; other paths of the same RPC are left out, and what
    answers with lines."""
    found = [
        (verb, path, verbs[verb])
        for path, verbs in document["paths"].items()
        for verb in _VERBS
        if verb in verbs
        and verbs[verb]["tags"] != ["Gateway"]
        and verbs[verb]["operationId"].count("_") == 1
        and NDJSON not in verbs[verb]["responses"].get("200", {}).get("content", ())
    ]
    yield from sorted(found, key=lambda one: _rpc(one[2]))


def _rpc(operation: Mapping[str, Any]) -> str:
    return str(operation["operationId"].partition("_")[2])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _method(types: "_Types", call: tuple[str, str, Mapping[str, Any]], wait: str) -> str:
    verb, path, operation = call
    positional, named, query, headers = ["self"], [], [], []
    for one in operation.get("parameters", ()):
        name = _identifier(one["name"])
        if one["in"] == "path":
            positional.append(f"{name}: str")
        elif one["in"] == "header":
            name = _HEADERS[one["name"]]
            named.append(f"{name}: str | None = None")
            headers.append(f'"{one["name"]}": {name}')
        elif one["name"] != _STREAM:
            named.append(f"{name}: {types.of(one['schema'])} | None = None")
            query.append(f'"{one["name"]}": {name}')
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        positional.append(f"body: {types.body(_rpc(operation), content['application/json']['schema'])} | None = None")
    arguments = ", ".join([*positional, *(["*", *named] if named else [])])
    route = re.sub(r"\{([^}]+)\}", lambda part: "{quote(" + _identifier(part[1]) + ", safe='')}", path)
    sent = f'"{verb.upper()}", f"{route}", {{{", ".join(query)}}}, {"body" if "body: " in arguments else "None"}'
    text = operation.get("description", operation["summary"]).replace("\\", "\\\\").replace('"""', "'''")
    return (
        f"    {'async ' if wait else ''}def {_snake(_rpc(operation))}({arguments}) -> {types.answer(operation)}:\n"
        f'        """{text}"""\n'
        f"        return {wait}self.call({sent}, {{{', '.join(headers)}}})\n"
    )


def _identifier(name: str) -> str:
    name = _snake(name)
    return f"{name}_" if keyword.iskeyword(name) else name


class _Types:
    """The documents as TypedDicts, made from the schemas of the components and of the bodies."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas: dict[str, Any] = {}
        for name, schema in schemas.items():
            self._add(name.rpartition(".")[2], schema)

    def _add(self, name: str, schema: Any) -> str:
        if self._schemas.get(name, schema) != schema:
            raise ValueError(f"two documents of the name {name}")
        self._schemas[name] = schema
        return name

    def body(self, rpc: str, schema: Any) -> str:
        if "properties" not in schema:
            return self.of(schema)
        return f"documents.{self._add(f'{rpc}Body', schema)}"

    def answer(self, operation: Mapping[str, Any]) -> str:
        for status, response in operation["responses"].items():
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            if status.startswith("2") and schema is not None:
                return self.of(schema)
        return "Any"

    def of(self, schema: Any, prefix: str = "documents.") -> str:
        """The annotation of a schema."""
        if "$ref" in schema:
            return prefix + str(schema["$ref"].rpartition("/")[2].rpartition(".")[2])
        if "anyOf" in schema:
            return " | ".join(self.of(one, prefix) for one in schema["anyOf"])
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return " | ".join(self._kind(kind, schema, prefix) for kind in kinds) or "Any"

    def _kind(self, kind: str, schema: Any, prefix: str) -> str:
        if kind == "array":
            return f"list[{self.of(schema.get('items', {}), prefix)}]"
        if kind == "object":
            values = schema.get("additionalProperties")
            return f"dict[str, {self.of(values, prefix) if isinstance(values, dict) else 'Any'}]"
        return _SCALARS[kind]

    def source(self) -> str:
        """The module with all of them."""
        classes = []
        for name, schema in sorted(self._schemas.items()):
            fields = ", ".join(
                f'"{key}": {self.of(value, "")!r}' for key, value in schema.get("properties", {}).items()
            )
            classes.append(f'{name} = TypedDict("{name}", {{{fields}}}, total=False)')
        return _DOCUMENTS.format(made=_MADE, classes="\n".join(classes))


_CALLS = '''"""Every call of the API as a method, named like its RPC. {made}"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontena_rest import documents


class Calls:
    """The calls, each of which waits for its answer."""

    def call(self, method: str, path: str, query: Mapping[str, Any], body: Any, headers: Mapping[str, Any]) -> Any:
        """Send a request and return the document of the answer."""
        raise NotImplementedError

{calls}

class AsyncCalls:
    """The same calls as coroutines."""

    async def call(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, headers: Mapping[str, Any]
    ) -> Any:
        """Send a request and return the document of the answer."""
        raise NotImplementedError

{waited}'''

_DOCUMENTS = '''"""The documents of the API; what an answer does not have is absent. {made}"""

from typing import Any, TypedDict

{classes}
'''
