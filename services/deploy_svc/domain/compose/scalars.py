"""Values as compose files write them. Each function says at the place what is wrong, and returns None then."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?(?:us|ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE, _FALSE = ("true", "yes", "on", "y", "1"), ("false", "no", "off", "n", "0")
_MOST = 2**53


def text(place: Place, value: Any) -> str | None:
    """Text; numbers and truth values count as what they are written like."""
    found = scalar_text(value)
    if found is None:
        place.error("This takes a text.")
    return found


def number(place: Place, value: Any) -> float | None:
    """A finite number that is not negative, or text that is one."""
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not 0 <= found <= _MOST:
        place.error("This takes a number.")
        return None
    return found


def integer(place: Place, value: Any) -> int | None:
    """A whole number."""
    found = number(place, value)
    if found is None or found.is_integer():
        return None if found is None else int(found)
    place.error("This takes a whole number.")
    return None


def permissions(place: Place, value: Any) -> str | None:
    """Octal permission bits as text: YAML reads 0440 as a number."""
    return f"{value:04o}" if isinstance(value, int) and not isinstance(value, bool) else text(place, value)


def boolean(place: Place, value: Any) -> bool | None:
    """true or false, also as text."""
    found = (scalar_text(value) or "").strip().lower()
    if found in _TRUE or found in _FALSE:
        return found in _TRUE
    place.error("This takes true or false.")
    return None


def size(place: Place, value: Any) -> int | None:
    """Bytes of `64m`, `1.5gb` or a number."""
    match = _SIZE.fullmatch((scalar_text(value) or "").strip()) if not isinstance(value, bool) else None
    if match is None:
        place.error("This takes a number of bytes, such as 64m or 2gb.")
        return None
    return int(float(match[1]) * 1024 ** _POWERS[match[2].lower()])


def seconds(place: Place, value: Any) -> float | None:
    """Seconds of `1m30s`; a plain 0 needs no unit."""
    found = (scalar_text(value) or "").strip()
    if found == "0":
        return 0.0
    if _DURATION.fullmatch(found) is None:
        place.error("This takes a duration, such as 30s or 1m30s.")
        return None
    return sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(found))


def texts(place: Place, value: Any) -> list[str]:
    """A list of text, or one text."""
    items = value if isinstance(value, list) else [value]
    return [found for index, item in enumerate(items) if (found := text(place.at(index), item)) is not None]


def pairs(place: Place, value: Any) -> dict[str, str | None]:
    """Text by name; None where there is a name only."""
    if not isinstance(value, Mapping):
        place.error("This takes a mapping, or a list of NAME=value.")
        return {}
    return {key: None if item is None else text(place.at(key), item) for key, item in value.items()}


def whole_seconds(smallest: int = 0) -> Callable[[Place, Any], int | None]:
    """Like `seconds`, rounded up."""

    def read(place: Place, value: Any) -> int | None:
        found = seconds(place, value)
        return None if found is None else max(smallest, math.ceil(found))

    return read
