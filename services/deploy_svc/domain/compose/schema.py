"""The schema of the compose specification, and what a document has that it does not allow."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from services.deploy_svc.domain.findings import Findings, Place

_MOST = 20
# It follows from what is wrong further inside: keys that nobody knows were told before.
_FOLLOWS = "unevaluatedProperties"


def compiled(schema: dict[str, Any]) -> Draft202012Validator:
    """The schema, ready for documents."""
    return Draft202012Validator(schema, mask="this")


def fits(document: Any, schema: Draft202012Validator, findings: Findings) -> bool:
    """Whether the schema allows the document; each place where it does not is an error, which shows no value."""
    errors = list(islice(schema.iter_errors(document), _MOST))
    for error in [error for error in errors if error.kind.name != _FOLLOWS] or errors:
        candidates = list(_causes(error))
        path = max((candidate.instance_path for candidate in candidates), key=len)
        messages = dict.fromkeys(item.message for item in candidates if item.instance_path == path)
        place = Place(findings)
        for key in path:
            place = place.at(key)
        place.error(f"The compose specification does not allow it: {', or '.join(messages)}"[:400])
    return not errors


def _causes(error: ValidationError) -> Iterator[ValidationError]:
    """The error itself, or why each of the ways to write the value does not fit."""
    branches = getattr(error.kind, "context", None)
    if not branches:
        yield error
    for branch in branches or ():
        for cause in branch:
            yield from _causes(cause)
