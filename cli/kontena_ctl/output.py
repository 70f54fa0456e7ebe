"""What commands print: data on stdout in the format that was asked for, everything else on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO

Document = Mapping[str, Any]
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_STATES = {
    "green": {"running", "online", "success", "healthy", "active", "validated", "create", "yes"},
    "yellow": {"deploying", "connecting", "drain", "created", "ongoing", "partially_running", "restarting", "change"},
    "red": {"error", "offline", "dead", "oom_killed", "lost", "missing", "unhealthy", "remove", "no", "expired"},
}
_STATE_COLOURS = {word: colour for colour, words in _STATES.items() for word in words}


class Format(StrEnum):
    """Of data on stdout. JSON and YAML are the documents of the API; streams are JSON lines."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True)
class Column:
    """One column of a table; a `wide` one only with `-o wide`."""

    title: str
    value: Callable[[Any], object]
    wide: bool = False


class Output:
    """Streams are those of the process unless others are given."""

    def __init__(self, format_: Format, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.format = format_
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    @property
    def structured(self) -> bool:
        """Whether a program reads it."""
        return self.format in {Format.JSON, Format.YAML}

    def say(self, text: str = "", colour: str = "") -> None:
        """Tell a person something, on stderr."""
        self._err.write(f"{paint(self._err, text, colour)}\n")
        self._err.flush()

    def line(self, text: str) -> None:
        """One line of data."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def raw(self, text: str) -> None:
        """Data as it comes."""
        self._out.write(text)
        self._out.flush()

    def document(self, document: Any) -> None:
        """A document, as JSON unless YAML is asked for."""
        if self.format is Format.YAML:
            import yaml  # noqa: PLC0415 -- only who asks for it waits for it.

            self._out.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))
        else:
            self.line(json.dumps(document, indent=2, ensure_ascii=False))

    def told(self, document: Any, name: str = "") -> bool:
        """Print what was asked for as data: the document, or its name where it has one. False when neither was, and a
        person is to be told."""
        if self.structured:
            self.document(document)
        elif name and self.format is Format.NAME:
            self.line(name)
        else:
            return False
        return True

    def listed(
        self, document: Any, columns: Sequence[Column], rows: Sequence[Any], name: Callable[[Any], object]
    ) -> None:
        """A list in the format that was asked for: `document` is all of it, `name` is that of a row."""
        if self.structured:
            self.document(document)
        elif self.format is Format.NAME:
            for row in rows:
                self.line(str(name(row)))
        else:
            self.table(columns, rows)

    def entry(self, entry: Document, text: str) -> None:
        """One entry of a stream: a JSON line, a YAML document, or text."""
        if self.format is Format.JSON:
            self.line(json.dumps(entry, ensure_ascii=False))
        elif self.format is Format.YAML:
            self._out.write("---\n")
            self.document(entry)
        else:
            self.line(text)

    def table(self, columns: Sequence[Column], rows: Iterable[Any]) -> None:
        """Columns as wide as they need to be, two blanks between them; titles also when there are no rows."""
        shown = [column for column in columns if not column.wide or self.format is Format.WIDE]
        lines = [[_text(column.value(row)) for column in shown] for row in rows]
        widths = [max(map(len, column)) for column in zip([c.title for c in shown], *lines, strict=True)]
        self._out.write(f"{paint(self._out, _aligned([c.title for c in shown], widths), 'bold')}\n")
        for line in lines:
            cells = [_painted(self._out, cell, width) for cell, width in zip(line, widths, strict=True)]
            self._out.write(f"{'  '.join(cells).rstrip()}\n")
        self._out.flush()

    def details(self, document: Document, indent: str = "") -> None:
        """One document for people: a line for each attribute that is set."""
        present = {name: value for name, value in document.items() if value not in (None, "", [], {})}
        width = max((len(name) for name in present), default=0)
        for name, value in present.items():
            title = f"{indent}{name}:".ljust(len(indent) + width + 2)
            if isinstance(value, Mapping):
                self.line(title.rstrip())
                self.details(value, f"{indent}  ")
            elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
                self.line(title.rstrip())
                for one in value:
                    self.line(f"{indent}  - {_short(one)}")
            else:
                self.line(f"{title}{_text(value)}".rstrip())


def paint(stream: TextIO, text: str, colour: str) -> str:
    """Text in a colour where the stream is a terminal that has colours."""
    if not colour or not coloured(stream):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def coloured(stream: TextIO) -> bool:
    """Whether the stream takes colours. https://no-color.org"""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(stream: TextIO, cell: str, width: int) -> str:
    padded = cell.ljust(width)
    return paint(stream, padded, _STATE_COLOURS.get(cell, ""))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value) or "-"
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        parts = [f"{k}={_short(v)}" for k, v in value.items() if v not in (None, "", [], {})]
        return " ".join(parts)
    return _text(value)
