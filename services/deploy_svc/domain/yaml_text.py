"""Reading YAML that strangers wrote: plain values only, as much as a budget allows.

Scalars mean what they mean in YAML 1.2: `yes` is text, and so is `22:22`. An alias costs as much as what it stands for.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import yaml

from services.deploy_svc.domain.findings import Place

_DEEPEST = 32
_TEXT_PER_NODE = 64
_INT = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_OCTAL = re.compile(r"0o?[0-7]{1,18}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STANDARD = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_STANDARD + name for name in ("int", "float", "bool", "null", "map", "seq"))


class TooLarge(Exception):
    """The budget is used up."""


class Budget:
    """How many values a conversion may handle in total; long text counts as several."""

    def __init__(self, nodes: int = 50_000) -> None:
        self._left = nodes

    def charge(self, nodes: int, text: int = 0) -> int:
        """Raises TooLarge. Returns what it cost."""
        cost = nodes + text // _TEXT_PER_NODE
        self._left -= cost
        if self._left < 0:
            raise TooLarge
        return cost

    def charge_value(self, value: Any) -> int:
        """A whole value again, as when it is used in one more place."""
        cost = self.charge(1, len(value) if isinstance(value, str) else 0)
        if isinstance(value, Mapping):
            return cost + sum(self.charge_value(item) for item in value.values())
        return cost + (sum(self.charge_value(item) for item in value) if isinstance(value, list) else 0)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag of its own, `!reset` or `!override`."""

    tag: str
    value: Any


class _Wrong(Exception):
    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(f"line {mark.line + 1}, column {mark.column + 1}: {message}")


def read(
    text: str, place: Place, budget: Budget, *, tags: frozenset[str] = frozenset(), repeated_keys: bool = False
) -> Any:
    """The value of the document; None, with an error at `place`, when it is none. Raises TooLarge.

    `tags` are those that a value may have. `repeated_keys`: the last one counts, where it is wrong otherwise.
    """
    try:
        return _Builder(text, budget, tags, repeated_keys).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        place.error(f"Not valid YAML: {where}{error.problem or error.context}")
    except yaml.YAMLError as error:
        place.error(f"Not valid YAML: {str(error).splitlines()[0][:200]}")
    except _Wrong as error:
        place.error(f"Not valid YAML here: {error}")
    return None


def scalar(text: str) -> Any:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    # As in other readers of such files, for modes of files.
    if len(text) > 1 and _OCTAL.fullmatch(text):
        return int(text.replace("o", ""), 8)
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit() and isfinite(found := float(text)):
        return found
    return text


class _Builder:
    """Makes values of the events of the parser, which needs no stack for its own nesting."""

    def __init__(self, text: str, budget: Budget, tags: frozenset[str], repeated_keys: bool) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._budget, self._tags, self._repeated = budget, tags, repeated_keys
        self._anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Any:
        value = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Wrong("a second document begins, where one is expected", event.start_mark)
                value, _ = self._value(next(self._events), 1)
        return value

    def _value(self, event: Any, depth: int) -> tuple[Any, int]:
        """The value that begins with the event, and what it costs."""
        if depth > _DEEPEST:
            raise _Wrong(f"nested more than {_DEEPEST} deep", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _Wrong(f"*{event.anchor} is used before it is defined, or within itself", event.start_mark)
            value, cost = self._anchors[event.anchor]
            return value, self._budget.charge(cost)
        make: Callable[[Any, int], tuple[Any, int]] = self._scalar
        if isinstance(event, yaml.SequenceStartEvent):
            make = self._sequence
        elif isinstance(event, yaml.MappingStartEvent):
            make = self._mapping
        value, cost = make(event, depth)
        if event.tag in self._tags:
            value = Tagged(event.tag, value)
        elif event.tag not in (None, "!", _STANDARD + "str") and event.tag not in _PLAIN_TAGS:
            raise _Wrong(f"the tag {event.tag} is not known here", event.start_mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, cost
        return value, cost

    def _scalar(self, event: Any, _: int) -> tuple[Any, int]:
        cost = self._budget.charge(1, len(event.value))
        return (scalar(event.value) if event.implicit[0] or event.tag in _PLAIN_TAGS else event.value), cost

    def _sequence(self, _: Any, depth: int) -> tuple[Any, int]:
        found, total = [], self._budget.charge(1)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            value, cost = self._value(event, depth + 1)
            found.append(value)
            total += cost
        return found, total

    def _mapping(self, _: Any, depth: int) -> tuple[Any, int]:
        found: dict[str, Any] = {}
        merged: list[Any] = []
        total = self._budget.charge(1)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Wrong("a key is no text", event.start_mark)
            key = event.value
            value, cost = self._value(next(self._events), depth + 1)
            total += self._budget.charge(1, len(key)) + cost
            if key == "<<" and event.implicit[0]:
                merged += self._sources(value, event.start_mark)
            elif key in found and not self._repeated:
                raise _Wrong(f"the key {key[:64]} is there twice", event.start_mark)
            else:
                found[key] = value
        inherited: dict[str, Any] = {}
        for source in merged:
            inherited = {**source, **inherited}
        return {**inherited, **found}, total

    @staticmethod
    def _sources(value: Any, mark: Any) -> list[Any]:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise _Wrong("<< takes a mapping, or a list of them", mark)
        return sources
