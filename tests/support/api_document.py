"""The API document of this tree, and whether an answer keeps to it."""

from typing import Any

import httpx
import jsonschema_rs

from gateway import catalog
from gateway.openapi.document import document
from gateway.settings import GatewaySettings

SETTINGS = GatewaySettings()
DOCUMENT = document(SETTINGS, catalog.load_descriptors(SETTINGS.descriptors))
OPERATIONS: dict[tuple[str, str], Any] = {
    (verb.upper(), path): operation
    for path, item in sorted(DOCUMENT["paths"].items())
    for verb, operation in item.items()
}


def check_against_document(answer: httpx.Response, operation: dict[str, Any]) -> None:
    """Status, content type, headers and body are what the document says."""
    responses = operation["responses"]
    assert str(answer.status_code) in responses, f"undocumented status {answer.status_code}: {answer.text[:300]}"
    described = responses[str(answer.status_code)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    for name in described.get("headers", {}):
        assert name in answer.headers, name
    content = described.get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in content or not content, f"{kind} is not one of {list(content)}"
    if kind == "application/json" and content:
        schema = {"components": DOCUMENT["components"], **content[kind]["schema"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
