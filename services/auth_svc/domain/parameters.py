"""The parameters of an OAuth2 request, whatever form its body has (docs/spec/auth_grid.md section 7.4)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from services.kernel.errors import OAuthError

_MOST_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Parameters:
    """Named values. A missing, null or blank value is None; numbers and booleans are text."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """The value as text. Raises OAuthError for a list or an object."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str):
            raise OAuthError(400, "invalid_request", f"{name}: must be text")
        return value if value.strip() else None


def parse(content_type: str, body: bytes) -> Parameters:
    """Read a JSON object or a form. Raises OAuthError `invalid_request` when the body is neither, or holds nothing.

    A body that starts with a brace is JSON even when the client calls it a form or nothing: curl does by default.
    """
    try:
        text = body.decode("utf-8")
        values = _json(text) if is_json(content_type) or text.lstrip().startswith("{") else _form(text)
    except (ValueError, RecursionError):
        _refuse()
    if not values:
        raise OAuthError(400, "invalid_request", "The request has no parameters")
    return Parameters(values)


def is_json(content_type: str) -> bool:
    """Whether a content type names JSON; parameters such as the charset do not matter."""
    media_type = content_type.split(";", 1)[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _json(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    values = json.loads(text, parse_constant=_not_json)
    if not isinstance(values, dict):
        raise ValueError("not an object")
    # JSON can escape half of a surrogate pair; such text cannot be stored or sent anywhere.
    json.dumps(values, ensure_ascii=False).encode("utf-8")
    return values


def _form(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS):
        if name in values:
            raise OAuthError(400, "invalid_request", f"{name}: given more than once")
        values[name] = value
    return values


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refuse() -> NoReturn:
    raise OAuthError(400, "invalid_request", "Invalid parameters") from None
