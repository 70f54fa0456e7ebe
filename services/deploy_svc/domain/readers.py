"""Readers: each takes any JSON value that a client wrote for an attribute, says what is wrong with it, and returns what
is kept; None when something was wrong (docs/spec/deploy_rest.md section 1.4)."""

import math
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from services.kernel.validation import Checker, clean, text_problem, title

T = TypeVar("T")
# The checker that collects what is wrong, the name under which it is said, the value.
Reader = Callable[[Checker, str, Any], T | None]

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])*", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])", re.ASCII)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_LONGEST = 2**31 - 1
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def scalar_text(value: Any) -> str | None:
    """Text, numbers and booleans as text; None for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, str | int) else None


def text(
    *, pattern: re.Pattern[str] | None = None, options: Collection[str] | None = None, longest: int | None = None
) -> Reader[str]:
    """One text."""

    def read(check: Checker, name: str, value: Any) -> str | None:
        found = scalar_text(value)
        if found is None:
            check.fail(name, f"{title(name)} isn't a string")
        return check.text(name, found, pattern=pattern, options=options, longest=longest)

    return read


def texts(
    *,
    pattern: re.Pattern[str] | None = None,
    longest: int | None = None,
    problem: Callable[[str], str | None] = lambda _: None,
    exact: bool = False,
) -> Reader[tuple[str, ...]]:
    """An array of text; `problem` says what else is wrong with one. `exact`: each byte is kept, and only what no
    process can be given is refused."""

    def problem_of(item: str | None) -> str | None:
        if item is None:
            return "isn't a string"
        if "\0" in item:
            return "contains a NUL character"
        if exact and pattern is None:
            return None
        return text_problem(item, pattern=pattern, longest=longest) or problem(item)

    def read(check: Checker, name: str, value: Any) -> tuple[str, ...] | None:
        if not isinstance(value, list | tuple):
            check.fail(name, f"{title(name)} isn't an array")
            return None
        found = [item if item is None or exact else clean(item) for item in map(scalar_text, value)]
        wrong = [problem_of(item) for item in found]
        if any(wrong):
            check.fail(name, [text and f"{title(name)}[{index}] {text}" for index, text in enumerate(wrong)])
            return None
        return tuple(item for item in found if item is not None)

    return read


def exact_text(check: Checker, name: str, value: Any) -> str | None:
    """One text as it is, for a shell; blank ones are refused."""
    found = scalar_text(value)
    if found is None:
        check.fail(name, f"{title(name)} isn't a string")
    elif not found.strip():
        check.fail(name, f"{title(name)} can't be blank")
    elif "\0" in found:
        check.fail(name, f"{title(name)} contains a NUL character")
    else:
        return found
    return None


def words(check: Checker, name: str, value: Any) -> tuple[str, ...] | None:
    """An array of text, or one text that is split like a shell does. The words are kept as they are."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError:
            check.fail(name, f"{title(name)} isn't in the right format")
            return None
    return texts(exact=True)(check, name, value)


def command_line(check: Checker, name: str, value: Any) -> str | None:
    """One text, or an array of text that is joined like a shell would write it."""
    if isinstance(value, list):
        parts = words(check, name, value)
        if parts is None:
            return None
        value = shlex.join(parts)
    return exact_text(check, name, value)


def options(check: Checker, name: str, value: Any) -> dict[str, str] | None:
    """An object of scalars as text, of which nulls are dropped; or an array of `KEY=value`."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = {key: content for key, _, content in (item.partition("=") for item in value)}
    if not isinstance(value, dict):
        check.fail(name, f"{title(name)} isn't a hash")
        return None
    nested = Checker()
    found: dict[str, str] = {}
    for key, item in value.items():
        content = scalar_text(item)
        if content is None or not clean(key):
            if item is not None:
                nested.fail(key, f"{title(key)} isn't a string")
        elif "\0" in content:
            nested.fail(key, f"{title(key)} contains a NUL character")
        else:
            found[clean(key)] = content
    check.nested(name, nested)
    return found


def seconds(check: Checker, name: str, value: Any) -> int | None:
    """Whole seconds from a duration such as `1m23.5s`, or from a number of seconds."""
    found = scalar_text(value)
    if found is None:
        check.fail(name, f"{title(name)} isn't in the right format")
        return None
    found = f"{clean(found)}s" if re.fullmatch(r"\d+(\.\d+)?", clean(found), re.ASCII) else found
    duration = check.text(name, found, pattern=_DURATION, longest=64)
    if duration is None:
        return None
    total = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(duration))
    return check.number(name, int(total), biggest=_LONGEST)


def number(smallest: int = 0, biggest: int = 2**53) -> Reader[int]:
    """A whole number, which may have come as a floating point one."""

    def read(check: Checker, name: str, value: Any) -> int | None:
        if not isinstance(value, int | float) or not math.isfinite(value) or value != math.floor(value):
            check.fail(name, f"{title(name)} isn't an integer")
            return None
        return check.number(name, int(value), smallest=smallest, biggest=biggest)

    return read


def fraction(biggest: float = math.inf) -> Reader[float]:
    """A finite number from 0 to `biggest`."""

    def read(check: Checker, name: str, value: Any) -> float | None:
        if not isinstance(value, int | float) or not math.isfinite(value):
            check.fail(name, f"{title(name)} is invalid")
        elif value < 0:
            check.fail(name, f"{title(name)} is too small")
        elif value > biggest:
            check.fail(name, f"{title(name)} is too big")
        else:
            return float(value)
        return None

    return read


def flag(check: Checker, name: str, value: Any) -> bool | None:
    """A boolean, or a text or number that means one."""
    found = _FLAGS.get((scalar_text(value) or "").lower())
    if found is None:
        check.fail(name, f"{title(name)} isn't a boolean")
    return found


def members(
    check: Checker,
    given: Mapping[str, Any],
    required: Mapping[str, Reader[Any]],
    optional: Mapping[str, Reader[Any]] | None = None,
) -> dict[str, Any]:
    """The members of an object that are not null, each read. Those that are `required` must be there."""
    found: dict[str, Any] = {}
    for name, read in {**required, **(optional or {})}.items():
        if (value := given.get(name)) is not None:
            found[name] = read(check, name, value)
        elif name in required:
            absent(check, given, name)
    return found


def absent(check: Checker, given: Mapping[str, Any], name: str) -> None:
    """Say that a required member is missing or null."""
    check.fail(name, f"{title(name)} can't be nil" if name in given else f"{title(name)} is required")


def objects(
    make: Callable[..., T], required: Mapping[str, Reader[Any]], optional: Mapping[str, Reader[Any]] | None = None
) -> Reader[tuple[T, ...]]:
    """An array of objects; `make` gets the members of each."""

    def read(check: Checker, name: str, value: Any) -> tuple[T, ...] | None:
        if not isinstance(value, list | tuple):
            check.fail(name, f"{title(name)} isn't an array")
            return None
        checks = [Checker() for _ in value]
        wrong = [None if isinstance(item, dict) else f"{title(name)}[{i}] isn't a hash" for i, item in enumerate(value)]
        if any(wrong):
            check.fail(name, wrong)
            return None
        found = [members(one, item, required, optional) for one, item in zip(checks, value, strict=True)]
        check.elements(name, checks)
        return None if any(one.errors for one in checks) else tuple(make(**item) for item in found)

    return read
