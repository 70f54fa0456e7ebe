"""Files of variables: `.env` of the project, `env_file` of services."""

from collections.abc import Callable
from io import StringIO

from dotenv.parser import parse_stream

from services.deploy_svc.domain.findings import Place

# Replaces the variables of one text.
Replace = Callable[[str, Place], str]


def parse(text: str, place: Place, replace: Replace | None) -> dict[str, str | None]:
    """Variables of a file by name, None for a name without a value. Later ones win. `replace` is for values that are
    not in single quotes; without it they are kept as they are."""
    found: dict[str, str | None] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            place.error(f"Line {binding.original.line} is no NAME=value.")
        elif binding.key is not None:
            literal = replace is None or "='" in binding.original.string
            value = binding.value
            found[binding.key] = value if literal or value is None else _replaced(value, place, replace)
    return found


def _replaced(value: str, place: Place, replace: Replace | None) -> str:
    return replace(value, place) if replace is not None and "$" in value else value
