"""What the gateway answers to GET and HEAD without asking a service."""

import json
from dataclasses import dataclass, field

from services.kernel.version import VERSION

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """A fixed answer; `about` is its description in the API reference, which leaves out those that have none."""

    path: str
    body: str
    content_type: str = _JSON
    about: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def facts() -> list[OwnAnswer]:
    """Who answers here, and that it does."""
    root = {"name": "Kontena Master", "tagline": "The Container Platform", "version": VERSION}
    return [
        OwnAnswer("/", _document(root), about="Name and version of this server."),
        OwnAnswer("/v1/ping", _document({"message": "pong"}), about="Whether the API can be reached."),
        OwnAnswer("/healthz", _document({"status": "ok"}), about="Whether the gateway process is alive."),
    ]


def _document(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
