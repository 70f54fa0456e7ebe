"""`only_if` and `skip_if`: a name, several, or what their values must be."""

from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text
from services.deploy_svc.domain.stack_file.template import VaultValue

# The value of a variable.
Lookup = Callable[[str], Any]


def holds(condition: Any, value: Lookup, place: Place) -> bool:
    """Whether all of a condition is true."""
    if isinstance(condition, list):
        return all(holds(item, value, place) for item in condition)
    if isinstance(condition, Mapping):
        return all(_compares(name, wanted, value, place) for name, wanted in condition.items())
    if isinstance(condition, str):
        return _is_true(value(condition))
    place.error("A condition is the name of a variable, a list of conditions, or a mapping of variables to values.")
    return False


def skipped(definition: Mapping[str, Any], value: Lookup, place: Place) -> bool:
    """Whether something with these conditions is left out."""
    if definition.get("skip_if") is not None and holds(definition["skip_if"], value, place.at("skip_if")):
        return True
    return definition.get("only_if") is not None and not holds(definition["only_if"], value, place.at("only_if"))


def _is_true(value: Any) -> bool:
    return value not in (None, False, "", "false")


def _compares(name: str, wanted: Any, value: Lookup, place: Place) -> bool:
    found = value(name)
    if isinstance(found, VaultValue):
        place.error(f"The value of {name} is in the vault and is not read here: ask whether it is there, by its name.")
        return False
    if not isinstance(wanted, Mapping):
        return _same(found, wanted)
    for operator, operand in wanted.items():
        if operator not in _OPERATORS:
            place.at(name).error(f"{operator[:40]} is no comparison: {', '.join(_OPERATORS)}.")
            return False
        if not _OPERATORS[operator](found, operand):
            return False
    return True


def _same(found: Any, wanted: Any) -> bool:
    # A version such as 5.5 is a number here and a text there.
    return found == wanted or (scalar_text(found) is not None and scalar_text(found) == scalar_text(wanted))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [part.strip() for part in (scalar_text(value) or "").split(",")]


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda found, wanted: not _same(found, wanted),
    "lt": lambda found, wanted: _number(found) < _number(wanted),
    "lte": lambda found, wanted: _number(found) <= _number(wanted),
    "gt": lambda found, wanted: _number(found) > _number(wanted),
    "gte": lambda found, wanted: _number(found) >= _number(wanted),
    "start_with": lambda found, wanted: (scalar_text(found) or "").startswith(scalar_text(wanted) or ""),
    "end_with": lambda found, wanted: (scalar_text(found) or "").endswith(scalar_text(wanted) or ""),
    "contain": lambda found, wanted: (
        any(_same(item, wanted) for item in found)
        if isinstance(found, list)
        else (scalar_text(wanted) or "") in (scalar_text(found) or "")
    ),
    "any_of": lambda found, wanted: any(_same(found, item) for item in _items(wanted)),
}
