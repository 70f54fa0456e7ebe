"""The grammar of affinity rules (docs/spec/orchestration.md section 1.4)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast, get_args

import re2

Key = Literal["node", "label", "service", "container"]

_KEYS = ", ".join(get_args(Key))
_RULE = re.compile(r"(.+)(==|!=)(~?)(.+)", re.DOTALL)
# What printf would replace by the instance number, and its own escape. Anything else stays as it is.
_SEQUENCE = re.compile(r"%([%sdi])")
# Matching runs inside the control loop: RE2 takes time in proportion to the text, whatever the pattern is, and bounded
# memory. It has no look-around and no back references.
_OPTIONS = re2.Options()
_OPTIONS.max_mem = 1 << 20
_OPTIONS.log_errors = False
_LONGEST_PATTERN = 200


class InvalidRule(Exception):
    """The rule cannot be understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `text` is the rule after substitution, `pattern` is set for values of the form `/regex/`."""

    text: str
    key: Key
    negated: bool
    soft: bool
    value: str
    pattern: re2._Regexp | None

    def matches(self, names: Iterable[str]) -> bool:
        """Whether any of the names is the value, or contains a match of the regex."""
        if self.pattern is not None:
            return any(self.pattern.search(name) for name in names)
        return self.value in names


def substitute(text: str, number: int) -> str:
    """Replace `%s`, `%d` and `%i` by the instance number and `%%` by `%`; other sequences pass through."""
    return _SEQUENCE.sub(lambda found: "%" if found[1] == "%" else str(number), text)


def names_instances(rules: Iterable[str]) -> bool:
    """Whether any of the rules looks at what runs on the nodes."""
    return any(rule.startswith(("service", "container")) for rule in rules)


@lru_cache(maxsize=4096)
def parse(text: str, number: int) -> Rule:
    """The rule for an instance number. Raises InvalidRule."""
    text = substitute(text, number)
    # The key is greedy: the last comparator splits the rule.
    found = _RULE.fullmatch(text)
    if found is None:
        raise InvalidRule(f"the affinity rule '{text}' is not of the form key==value, key!=value, key==~value")
    key, comparator, flag, value = found.groups()
    if key not in get_args(Key):
        raise InvalidRule(f"the affinity rule '{text}' has the unknown key '{key}' (known: {_KEYS})")
    return Rule(text, cast(Key, key), comparator == "!=", flag == "~", value, _pattern(text, value))


def _pattern(text: str, value: str) -> re2._Regexp | None:
    if len(value) < 2 or not (value.startswith("/") and value.endswith("/")):
        return None
    if len(value) > _LONGEST_PATTERN:
        most = f"it may have {_LONGEST_PATTERN} characters"
        raise InvalidRule(f"the regular expression of the affinity rule '{text[:80]}' is too long: {most}")
    try:
        return re2.compile(value[1:-1].replace(r"\/", "/"), _OPTIONS)
    except re2.error as error:
        said = error.args[0].decode(errors="replace") if error.args else ""
        raise InvalidRule(f"the affinity rule '{text}' holds a wrong regular expression: {said}") from None
