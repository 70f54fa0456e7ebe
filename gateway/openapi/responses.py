"""Statuses and bodies of answers: success as the protos say it, errors as docs/errors.md says it."""

import re
from collections.abc import Iterable

from gateway.catalog import Binding, Method
from gateway.openapi.schemas import Schema

_STATUS = re.compile(r"\b([2-5]\d\d)\b")
_FIELD_MAP = re.compile(r"\bfield map with status ([45]\d\d)\b")
_ALWAYS_REFUSED = re.compile(r"\balways answers [45]\d\d\b", re.IGNORECASE)
_TEXTS = {
    200: "Done.", 201: "Created.", 202: "Accepted.", 204: "Done.", 302: "Go to the address in `Location`.",
    400: "The request cannot be understood.",
    401: "No token, or one that is unknown, revoked or expired.",
    403: "The caller is known and may not do this.",
    404: "No such resource, or one of another grid's.",
    409: "Contradicts what happens at the same time. Try again.",
    412: "The resource changed since it was read.",
    413: "The body is too large.",
    422: "Attributes break a rule; the body names each.",
    429: "Too many requests.",
    431: "The headers are too large.",
    500: "A fault of the server.",
    501: "Not configured on this server.",
    502: "The provider of logins did not answer.",
    503: "A part of the server does not answer. Try again in a moment.",
    504: "A part of the server did not answer in time.",
}  # fmt: skip
_EVERY = (400, 431, 500, 503, 504)
_HEADERS = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", "X-Kontena-Version")}


def named_statuses(comment: str) -> set[int]:
    """The statuses a comment of an RPC names: `Answers 201.`."""
    return {int(status) for status in _STATUS.findall(comment)}


def success_statuses(comment: str) -> list[int]:
    """200 unless the comment names others; none when it says `Always answers 403.`"""
    named = sorted(status for status in named_statuses(comment) if status < 400)
    return named or ([] if _ALWAYS_REFUSED.search(comment) else [200])


def error_statuses(method: Method, binding: Binding, comment: str, *, has_query: bool, limited: bool) -> list[int]:
    """The errors an operation can answer with."""
    found = {*_EVERY, *(status for status in named_statuses(comment) if status >= 400)}
    if not method.open:
        found |= {401, 403}
    if "{" in binding.template:
        found |= {404}
    if binding.verb != "GET" or has_query:
        found |= {422}
    if binding.verb != "GET":
        found |= {404, 409, 413}
    if "If-Match" in comment:
        found |= {412}
    if limited:
        found |= {403, 404, 413, 422, 429, 501, 502}
    return sorted(found)


def success(statuses: Iterable[int], content: Schema) -> dict[str, Schema]:
    """Responses by status; redirects have no content."""
    return {
        str(status): {
            "description": _TEXTS[status],
            "headers": _HEADERS | ({"Location": {"$ref": "#/components/headers/Location"}} if status == 302 else {}),
            **({"content": content} if status not in {204, 302} else {}),
        }
        for status in statuses
    }


def errors(statuses: Iterable[int], comment: str = "") -> dict[str, Schema]:
    """References to the shared error responses; of both shapes where the comment says `a field map with status 400`."""
    shared: dict[str, Schema] = {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}
    own = {status: _error_response(int(status), "Error", "ValidationError") for status in _FIELD_MAP.findall(comment)}
    return shared | own


def shared_responses() -> dict[str, Schema]:
    """Every error response once."""
    names = {status: "ValidationError" if status == 422 else "Error" for status in _TEXTS if status >= 400}
    return {str(status): _error_response(status, name) for status, name in names.items()}


def _error_response(status: int, *names: str) -> Schema:
    challenge = {"WWW-Authenticate": {"$ref": "#/components/headers/WWW-Authenticate"}} if status == 401 else {}
    shapes: list[Schema] = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    content = {"application/json": {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}
    return {"description": _TEXTS[status], "headers": _HEADERS | challenge, "content": content}


def shared_schemas() -> dict[str, Schema]:
    """The two shapes of errors."""
    text = {"type": "string"}
    return {
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"description": "What went wrong; on OAuth endpoints a code of RFC 6749.", **text},
                "error_description": {"description": "Explanation for people.", **text},
            },
        },
        "ValidationError": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "description": "By attribute: a message, or messages of its parts.",
                    "type": "object",
                    "additionalProperties": {"type": ["string", "object", "array"]},
                }
            },
        },
    }


def shared_headers() -> dict[str, Schema]:
    """Headers of answers."""
    text = {"type": "string"}
    return {
        "X-Request-Id": {"description": "Names the request in logs.", "schema": text},
        "X-Kontena-Version": {
            "description": "Version of the API, for the public CLI.",
            "schema": text,
        },
        "WWW-Authenticate": {"description": "Challenge of RFC 6750.", "schema": text},
        "Location": {"description": "Where to go.", "schema": text},
    }
