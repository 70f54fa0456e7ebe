"""Numbers and times in words."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?")


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def age(time: object) -> str:
    """How long ago an RFC 3339 time was: `5m`, `3h`, `12d`."""
    if not time:
        return ""
    passed = (now() - datetime.fromisoformat(str(time))).total_seconds()
    for unit, size in _UNITS:
        if passed >= size:
            return f"{int(passed // size)}{unit}"
    return "0s"


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `1h30m`, `2d`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is no duration such as 90s, 10m or 1h30m")
    sizes = [size for _, size in _UNITS]
    return sum(float(number or 0) * size for number, size in zip(found.groups(), sizes, strict=True))


def size(number: object) -> str:
    """Bytes: `512M`, `1.5G`."""
    value = float(str(number or 0))
    for unit in ("", "K", "M", "G", "T"):
        if value < 1024 or unit == "T":
            return f"{value:.0f}{unit}" if value >= 10 or not unit or value == int(value) else f"{value:.1f}{unit}"
        value /= 1024
    raise AssertionError


def listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def count(number: int, noun: str) -> str:
    """`1 service`, `3 services`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
