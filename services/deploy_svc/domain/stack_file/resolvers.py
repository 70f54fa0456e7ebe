"""Where variables get their values from (`from`): each resolver answers None when it has nothing."""

import ast
import operator
import string
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.stack_file import conditions
from services.deploy_svc.domain.stack_file.template import NeedsVault, VaultValue, with_variables
from services.deploy_svc.domain.stack_file.types import text_of

_MOST_CHARACTERS = 4096
_CHARSETS = {
    "numbers": string.digits,
    "letters": string.ascii_letters,
    "downcase": string.ascii_lowercase,
    "upcase": string.ascii_uppercase,
    "alphanumeric": string.digits + string.ascii_letters,
    "hex": string.digits + "abcdef",
    "hex_upcase": string.digits + "ABCDEF",
    "base64": string.ascii_letters + string.digits + "+/",
    "ascii_printable": "".join(map(chr, range(33, 127))),
}
# What they say follows from other variables each time anew.
DERIVED = frozenset({"variable", "interpolate", "evaluate", "condition"})
# They ask a person, or the machine where that person sits.
ASKING = frozenset({
    "prompt", "vault_cert_prompt", "certificates", "service_link", "service_instances", "command", "yaml",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vault:
    """What is known of the vault of the grid: which of the names that were asked for exist, never a value."""

    known: Collection[str]
    asked: set[str]

    def has(self, name: str) -> bool:
        """Whether a secret exists."""
        self.asked.add(name)
        return name in self.known


class Around(Protocol):
    """What resolvers may look at."""

    vault: Vault
    files: Mapping[str, str]

    def given(self, name: str) -> Any:
        """What the request, or the file .env, says under a name."""

    def value(self, name: str) -> Any:
        """The value of another variable."""

    def chance(self, count: int) -> bytes:
        """Random bytes."""


def resolve(kind: str, hint: Any, name: str, around: Around, place: Place) -> Any:
    """The value of one source. What is no source is an error at `place`."""
    if kind in ASKING:
        return None
    found = _RESOLVERS.get(kind)
    if found is None:
        place.error(f"{kind[:40]} is no source of a value: {', '.join((*_RESOLVERS, *sorted(ASKING)))}.")
        return None
    return found(hint, name, around, place)


def _env(hint: Any, name: str, around: Around, _: Place) -> Any:
    names = hint if isinstance(hint, list) else [hint or name]
    return next((value for item in names if (value := around.given(text_of(item))) is not None), None)


def _vault(hint: Any, _: str, around: Around, __: Place) -> Any:
    return VaultValue() if isinstance(hint, str) and around.vault.has(hint) else None


def _file(hint: Any, _: str, around: Around, place: Place) -> Any:
    path = hint.get("path") if isinstance(hint, Mapping) else hint
    text = around.files.get(text_of(path))
    if text is None and not (isinstance(hint, Mapping) and hint.get("ignore_errors")):
        place.error(f"The file {text_of(path)[:200]} was not sent: add it to `files`, or say ignore_errors.")
    return text


def _random_number(hint: Any, _: str, around: Around, place: Place) -> Any:
    bounds = (hint.get("min"), hint.get("max")) if isinstance(hint, Mapping) else (None, None)
    low, high = bounds
    if not isinstance(low, int) or not isinstance(high, int) or low > high:
        place.error("This takes a mapping with `min` and `max`.")
        return None
    return low + int.from_bytes(around.chance(16), "big") % (high - low + 1)


def _random_string(hint: Any, _: str, around: Around, place: Place) -> Any:
    options = hint if isinstance(hint, Mapping) else {"length": hint}
    length = text_of(options.get("length", 16))
    charset = text_of(options.get("charset", "alphanumeric"))
    characters = _CHARSETS.get(charset, charset)
    if not length.isdecimal() or not length.isascii() or not 0 < int(length[:9]) <= _MOST_CHARACTERS or not characters:
        place.error(f"This takes a length of 1 to {_MOST_CHARACTERS}, or a mapping with `length` and `charset`.")
        return None
    # Two bytes each: no character is noticeably more likely than another one.
    drawn = around.chance(2 * int(length))
    numbers = (int.from_bytes(drawn[index : index + 2], "big") for index in range(0, len(drawn), 2))
    return "".join(characters[number % len(characters)] for number in numbers)


def _random_uuid(_: Any, __: str, around: Around, ___: Place) -> Any:
    return str(uuid.UUID(bytes=around.chance(16), version=4))


def _variable(hint: Any, _: str, around: Around, __: Place) -> Any:
    return around.value(text_of(hint))


def _interpolate(hint: Any, _: str, around: Around, place: Place) -> Any:
    return with_variables(text_of(hint), lambda name: text_in(around, name), place)


def text_in(around: Around, name: str) -> str | None:
    """A variable within a text; None when there is none. Raises NeedsVault."""
    value = around.value(name)
    if isinstance(value, VaultValue):
        raise NeedsVault
    return text_of(value)


_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
}


def _evaluate(hint: Any, _: str, around: Around, place: Place) -> Any:
    text = with_variables(text_of(hint), lambda name: text_in(around, name), place)
    try:
        return _calculated(ast.parse(text[:1000].strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        place.error("This takes whole numbers and variables with + - * / % and parentheses.")
        return None


def _calculated(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)) if abs(value) < 2**53:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_calculated(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            result: int = _OPERATIONS[type(op)](_calculated(left), _calculated(right))
            if abs(result) < 2**53:
                return result
    raise ValueError


def _condition(hint: Any, _: str, around: Around, place: Place) -> Any:
    for index, item in enumerate(hint if isinstance(hint, list) else []):
        if not isinstance(item, Mapping):
            continue
        test = item.get("if", item.get("elsif"))
        if test is not None and conditions.holds(test, around.value, place.at(index)):
            return item.get("then")
        if test is None and "else" in item:
            return item["else"]
    return None


_RESOLVERS: Mapping[str, Callable[[Any, str, Around, Place], Any]] = {
    "env": _env,
    "vault": _vault,
    "file": _file,
    "random_number": _random_number,
    "random_string": _random_string,
    "random_uuid": _random_uuid,
    "variable": _variable,
    "interpolate": _interpolate,
    "evaluate": _evaluate,
    "condition": _condition,
}
