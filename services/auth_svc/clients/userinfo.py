"""Finds the facts about a user in whatever JSON a provider answers (docs/spec/auth_grid.md section 7.1)."""

from typing import Any

import jsonpath

from services.auth_svc.domain.login import ProviderUser
from services.auth_svc.domain.provider import UserinfoPaths
from services.kernel.validation import clean

_LONGEST = 254


def user_of(document: Any, paths: UserinfoPaths) -> ProviderUser:
    """The user a document tells about. Raises ValueError for a JSONPath that is none."""
    return ProviderUser(
        id=_text(_find(paths.user_id, document)),
        email=_text(_find(paths.email, document)),
        name=_text(_find(paths.username, document)),
        email_verified=_is_true(_find(paths.email_verified, document)),
    )


def _find(path: str, document: Any) -> Any:
    """The first hit of the first alternative that has any; of a list its first element."""
    for alternative in filter(None, (part.strip() for part in path.split(";"))):
        try:
            hits = [hit for hit in jsonpath.findall(alternative, document) if hit is not None and hit != []]
        except jsonpath.JSONPathError as error:
            raise ValueError(f"not a JSONPath: {alternative[:100]}") from error
        if hits:
            return hits[0][0] if isinstance(hits[0], list) else hits[0]
    return None


def _is_true(value: Any) -> bool:
    """Whether the provider says so, in JSON or in a form."""
    return value is True or value == "true"


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = clean(str(value))
    return text if 0 < len(text) <= _LONGEST else None
