"""Puts the OpenAPI document together."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool

from gateway import catalog
from gateway.openapi import responses
from gateway.openapi.comments import comments
from gateway.openapi.examples import illustrate
from gateway.openapi.operations import Operations
from gateway.openapi.schemas import Schemas
from gateway.openapi.sections import SECTIONS, section
from gateway.own_answers import OwnAnswer, facts
from gateway.readiness import PATH as READY_PATH
from gateway.routes import rate_limited
from gateway.settings import GatewaySettings
from services.kernel.version import VERSION

_ABOUT = """The REST API of Kontena Master. Bodies are JSON objects; times are RFC 3339 in UTC; numbers may
be sent as text. Attributes that are absent keep their value or take the default, and null counts as absent.

Send the access token in `Authorization: Bearer <token>`. Every error is `{"error": "<text>"}`, or
`{"error": {"<attribute>": "<message>"}}` with status 422. Unknown routes answer 404.

Logs and events with `follow` are streams: one JSON document per line, and blank lines while nothing happens. A stream
that breaks off is to be opened again with `from=<id of the last item>`.

Commands with input run over the one WebSocket, `GET /v1/containers/{grid}/{node}/{name}/exec`, which this document
cannot describe; without input, POST to the same path."""


def document(settings: GatewaySettings, descriptors: descriptor_pb2.FileDescriptorSet) -> dict[str, Any]:
    """The document as a value; equal inputs give equal results. Raises ValueError for two operations on one path."""
    texts = comments(descriptors)
    schemas = Schemas(texts)
    public = [service for service in catalog.services(descriptors) if service.public]
    paths = _own_paths(settings)
    for path, verb, operation in _operations(descriptors, public, texts, schemas):
        if verb in paths.setdefault(path, {}):
            raise ValueError(f"two operations on {verb.upper()} {path}")
        illustrate(path, verb, operation)
        paths[path][verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kontena Master", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _described(public, paths, texts)],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "schemas": {**dict(sorted(schemas.components.items())), **responses.shared_schemas()},
            "responses": responses.shared_responses(),
            "headers": responses.shared_headers(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(
    descriptors: descriptor_pb2.FileDescriptorSet,
    public: list[catalog.Service],
    texts: dict[str, str],
    schemas: Schemas,
) -> Any:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    make = Operations(schemas, texts, frozenset(catalog.path_variables(public)))
    for service in public:
        described = pool.FindServiceByName(service.name)
        for method in service.methods:
            rpc = described.methods_by_name[method.path.rpartition("/")[2]]
            for number, binding in enumerate(method.bindings, start=1):
                path, operation = make.operation(method, binding, rpc, limited=rate_limited(method))
                suffix = "" if number == 1 else f"_{number}"
                yield (
                    path,
                    binding.verb.lower(),
                    {
                        "operationId": f"{described.name}_{rpc.name}{suffix}",
                        "tags": [section(path)],
                        **operation,
                    },
                )


def _described(
    public: list[catalog.Service], paths: dict[str, dict[str, Any]], texts: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Sections with what is said about each service that has a call in them."""
    found: dict[str, list[str]] = {name: [text] for name, text in SECTIONS.items()}
    operations = [operation for verbs in paths.values() for operation in verbs.values()]
    for service in public:
        short = service.name.rpartition(".")[2]
        tags = {one["tags"][0] for one in operations if one["operationId"].startswith(f"{short}_")}
        for tag in tags:
            found[tag].append(texts.get(service.name, ""))
    yield from ((name, "\n\n".join(filter(None, parts))) for name, parts in found.items())


def _own_paths(settings: GatewaySettings) -> dict[str, dict[str, Any]]:
    ready = OwnAnswer(READY_PATH, "", about="Whether every service has a healthy process; 503 when not.")
    schema = OwnAnswer("/openapi.json", "", about="This document.")
    return {
        answer.path: {
            "get": {
                "operationId": f"Gateway_{answer.path.strip('/').replace('/', '_').replace('.', '_') or 'root'}",
                "tags": ["Gateway"],
                "summary": answer.about,
                "responses": {
                    **responses.success([200], {answer.content_type: {"schema": {"type": "object"}}}),
                    **responses.errors([400, 431, *([503] if answer is ready else [])]),
                },
                "security": [],
            }
        }
        for answer in (*facts(), ready, schema)
    }
