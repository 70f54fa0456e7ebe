"""Text as Postgres takes it: without NUL characters, each of which becomes U+FFFD.

The one place that does this (docs/adr/0094-one-dialect.md): everything that a statement or a COPY is given goes through
here. What is looked for finds nothing then, as no name or id of ours has that character; what a node tells is stored.
Rules of what users write, such as values that a container could not get, are in the domains.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

_NUL, _REPLACEMENT = "\0", "\ufffd"
# Behind an even number of backslashes: behind an odd one it is the text of a backslash and `u0000`.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

_TEXTS = {str, type(None)}
_NO_TEXTS = {int, float, bool, date, datetime, type(None)}


def storable(value: Any) -> Any:
    """A parameter, or any depth of lists of them."""
    if isinstance(value, str):
        return value.replace(_NUL, _REPLACEMENT)
    if isinstance(value, tuple):
        return tuple(map(storable, value))
    if isinstance(value, list):
        return [storable(one) for one in value]
    return value


def storable_rows(rows: Sequence[Sequence[Any]]) -> Iterable[Sequence[Any]]:
    """Rows of a COPY, all of the same length. Looks at columns as a whole first: as a rule there is nothing to do."""
    if any(_suspicious(column) for column in zip(*rows, strict=True)):
        return [storable(tuple(row)) for row in rows]
    return rows


def _suspicious(column: Sequence[Any]) -> bool:
    kinds = set(map(type, column))
    if kinds <= _TEXTS:
        return _NUL in "".join(filter(None, column))
    return not kinds <= _NO_TEXTS


def to_json(value: Any) -> str:
    """JSON text for a column."""
    return storable_json(json.dumps(value))


def storable_json(text: str) -> str:
    """JSON text, of whoever wrote it, for a column."""
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text
