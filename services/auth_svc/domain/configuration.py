"""Server configuration: free JSON values by key (docs/spec/auth_grid.md section 9)."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from services.kernel.errors import ValidationFailed

# Any JSON value but null, which stands for an absent key.
Json = Any

# A key of older installations. Token digests are keyed by a setting instead, so it is never stored nor shown.
SALT = "server.salt"
SERVER_NAME = "server.name"
ROOT_URL = "server.root_url"

# These do not say who somebody is at the provider.
_SAME_PROVIDER = frozenset({"oauth2.match_email", "oauth2.pkce"})
_SECRET_SUFFIX = "_secret"  # noqa: S105 -- the end of names.
_LONGEST_KEY = 255


def is_secret(key: str) -> bool:
    """Whether the value of the key is encrypted at rest."""
    return key.endswith(_SECRET_SUFFIX)


def selects(pattern: str, key: str) -> bool:
    """Whether a filter selects a key: `prefix*`, or any part of the key; always literal."""
    text = pattern.replace("*", "")
    return key.startswith(text) if pattern.endswith("*") else text in key


def ends_logins(keys: Collection[str]) -> bool:
    """Whether a change of these keys unties users from their accounts at the provider."""
    return any((key.startswith("oauth2.") and key not in _SAME_PROVIDER) or key == ROOT_URL for key in keys)


def check(values: Mapping[str, Json]) -> dict[str, Json]:
    """The values that may be stored, without the reserved key. Raises ValidationFailed, by key."""
    errors = {key: problem for key, value in values.items() if (problem := _problem(key, value))}
    if errors:
        raise ValidationFailed(errors)
    return {key: value for key, value in values.items() if key != SALT}


def text(values: Mapping[str, Json], key: str) -> str | None:
    """A value that has to be text; blank text and other kinds of values count as unset."""
    value = values.get(key)
    return value.strip() or None if isinstance(value, str) else None


def flag(values: Mapping[str, Json], key: str) -> bool:
    """A value that has to be a boolean, or its name as text."""
    value = values.get(key)
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def denied(values: Mapping[str, Json], key: str) -> bool:
    """The opposite of `flag`, for what counts as true when it is not set."""
    value = values.get(key)
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")


def _problem(key: str, value: Json) -> str | None:
    if not key.strip() or not key.isprintable():
        return "Key isn't in the right format"
    if len(key) > _LONGEST_KEY:
        return "Key is too long"
    return None if _storable(value) else "Value isn't in the right format"


def _storable(value: Json) -> bool:
    match value:
        case str():
            return "\0" not in value
        case float():
            return math.isfinite(value)
        case list():
            return all(map(_storable, value))
        case dict():
            return all("\0" not in name and _storable(inner) for name, inner in value.items())
        case _:
            return True
