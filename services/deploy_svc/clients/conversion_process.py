"""The process that converts one set of files: what strangers wrote is parsed, and templates are rendered, where neither
time nor memory of anybody else is used. One JSON object in, one out (`clients/converter.py`)."""

import json
import os
import resource
import secrets
import sys
from dataclasses import asdict
from importlib.metadata import distribution
from typing import Any

from services.deploy_svc.domain.compose.schema import compiled
from services.deploy_svc.domain.stack_conversion import convert
from services.deploy_svc.domain.stack_source import Source

_MEMORY = 1024**3
_NICE = 10
# check-jsonschema is there for this file only: it follows the specification with each release.
_SCHEMA = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"


def compose_schema() -> dict[str, Any]:
    """The schema of compose files."""
    path = distribution("check-jsonschema").locate_file(_SCHEMA)
    with open(str(path), encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def main() -> None:
    """Convert what comes in, after everything else that wants the processor."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = json.load(sys.stdin.buffer)
    resource.setrlimit(resource.RLIMIT_CPU, (given["cpu_seconds"], given["cpu_seconds"]))
    outcome = convert(
        Source(**given["source"]),
        kind=given["kind"],
        ignore_unsupported=given["ignore_unsupported"],
        compose_schema=compiled(compose_schema()),
        known_secrets=given["known_secrets"],
        chance=secrets.token_bytes,
    )
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
