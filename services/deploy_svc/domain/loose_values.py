"""Attributes that clients write in more than one way: each reader takes any JSON value and reports what is wrong."""

import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from services.kernel.validation import Checker, clean, title

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])*", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])", re.ASCII)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_LONGEST = 2**31 - 1


def scalar_text(value: Any) -> str | None:
    """Text, numbers and booleans as text (spec/deploy_rest.md section 1.4); None for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, str | int) else None


def words(check: Checker, attribute: str, value: Any) -> tuple[str, ...] | None:
    """An array of text, or one text that is split like a shell does."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError:
            check.fail(attribute, f"{title(attribute)} isn't in the right format")
            return None
    if not isinstance(value, list):
        check.fail(attribute, f"{title(attribute)} isn't an array")
        return None
    texts = [scalar_text(item) for item in value]
    if None in texts:
        problems = [f"{title(attribute)}[{i}] isn't a string" if text is None else None for i, text in enumerate(texts)]
        check.fail(attribute, problems)
        return None
    return tuple(check.texts(attribute, [text for text in texts if text is not None]))


def command_line(check: Checker, attribute: str, value: Any) -> str | None:
    """One text, or an array of text that is joined like a shell would write it."""
    if isinstance(value, list):
        parts = words(check, attribute, value)
        value = None if parts is None else shlex.join(parts)
        if value is None:
            return None
    text = scalar_text(value)
    if text is None:
        check.fail(attribute, f"{title(attribute)} isn't a string")
        return None
    return check.text(attribute, text)


def options(check: Checker, attribute: str, value: Any) -> dict[str, str] | None:
    """An object of scalars as text; nulls are dropped, an empty array is an empty object."""
    if value == []:
        return {}
    if not isinstance(value, dict):
        check.fail(attribute, f"{title(attribute)} isn't a hash")
        return None
    nested = Checker()
    found: dict[str, str] = {}
    for key, item in value.items():
        text = scalar_text(item)
        if text is not None and clean(key):
            found[clean(key)] = clean(text)
        elif item is not None:
            nested.fail(key, f"{title(key)} isn't a string")
    check.nested(attribute, nested)
    return found


def seconds(check: Checker, attribute: str, value: Any) -> int | None:
    """Whole seconds from a duration such as `1m23.5s`, or from a number of seconds."""
    text = scalar_text(value)
    if text is None:
        check.fail(attribute, f"{title(attribute)} isn't in the right format")
        return None
    text = f"{clean(text)}s" if re.fullmatch(r"\d+(\.\d+)?", clean(text), re.ASCII) else text
    checked = check.text(attribute, text, pattern=_DURATION, longest=64)
    if checked is None:
        return None
    total = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(checked))
    return check.number(attribute, int(total), biggest=_LONGEST)


def whole(check: Checker, attribute: str, value: float | None, *, smallest: int = 0) -> int | None:
    """A whole number that may have come as a floating point one."""
    if value is None:
        return None
    if not math.isfinite(value) or value != math.floor(value):
        check.fail(attribute, f"{title(attribute)} isn't an integer")
        return None
    return check.number(attribute, int(value), smallest=smallest, biggest=2**53)


def fraction(check: Checker, attribute: str, value: float | None, *, biggest: float = math.inf) -> float | None:
    """A finite number from 0 to `biggest`."""
    if value is None:
        return None
    if not math.isfinite(value):
        check.fail(attribute, f"{title(attribute)} is invalid")
    elif value < 0:
        check.fail(attribute, f"{title(attribute)} is too small")
    elif value > biggest:
        check.fail(attribute, f"{title(attribute)} is too big")
    else:
        return float(value)
    return None


def flag(value: Any, default: bool) -> bool | None:
    """A boolean, or a text or number that means one; None for anything else."""
    if value is None:
        return default
    text = (scalar_text(value) or "").lower()
    return {"true": True, "1": True, "false": False, "0": False}.get(text)


def as_objects(check: Checker, attribute: str, value: Any) -> Sequence[dict[str, Any]] | None:
    """An array of objects."""
    if not isinstance(value, list):
        check.fail(attribute, f"{title(attribute)} isn't an array")
        return None
    if not all(isinstance(item, dict) for item in value):
        problems = [
            None if isinstance(item, dict) else f"{title(attribute)}[{i}] isn't a hash" for i, item in enumerate(value)
        ]
        check.fail(attribute, problems)
        return None
    return value
