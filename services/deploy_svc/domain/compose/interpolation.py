"""Variables in compose files: `$NAME`, `${NAME}`, with `:-` or `-` a default, with `:?` or `?` an error that whoever
forgot the variable reads, with `:+` or `+` a text instead. `$$` is a dollar sign."""

import re
from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.yaml_text import Budget, Tagged

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r":?[-?+]")
_DEEPEST = 8
# Extension fields are for whoever knows their names, and stay as they are. This one is ours.
EXTENSION = "x-kontena"


class Variables:
    """Values by name; which of them were used."""

    def __init__(self, values: Mapping[str, str], budget: Budget) -> None:
        self._values = values
        self._budget = budget
        self.used: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        """The value of a variable, None when it is not set."""
        value = self._values.get(name)
        if value is not None:
            self.used[name] = value
        return value

    def unnoted(self, name: str) -> str | None:
        """The value of a variable that is a secret, so that nobody keeps it as one that was used."""
        return self._values.get(name)

    def everywhere(self, value: Any, place: Place) -> Any:
        """The value with the variables of every text in it replaced; extension fields stay as they are."""
        if isinstance(value, str):
            return self.replace(value, place) if "$" in value else value
        if isinstance(value, Mapping):
            return {
                key: item if key.startswith("x-") and key != EXTENSION else self.everywhere(item, place.at(key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.everywhere(item, place.at(index)) for index, item in enumerate(value)]
        return Tagged(value.tag, self.everywhere(value.value, place)) if isinstance(value, Tagged) else value

    def replace(self, text: str, place: Place, depth: int = 0) -> str:
        """One text. What cannot be understood is an error at `place`. Raises TooLarge."""
        parts: list[str] = []
        position = 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            after = text[dollar + 1 : dollar + 2]
            if after == "$":
                parts.append("$")
                position = dollar + 2
            elif after == "{" and (end := _closing(text, dollar + 2)) is not None:
                parts.append(self._expression(text[dollar + 2 : end], place, depth))
                position = end + 1
            elif name := _NAME.match(text, dollar + 1):
                parts.append(self._plain(name.group(), place))
                position = name.end()
            else:
                _wrong(text[dollar : dollar + 40], place)
                return text
        result = "".join((*parts, text[position:]))
        self._budget.charge(0, len(result))
        return result

    def _expression(self, inner: str, place: Place, depth: int) -> str:
        name = _NAME.match(inner)
        rest = inner[name.end() :] if name else ""
        operator = _OPERATOR.match(rest)
        if name is None or (rest and operator is None) or depth >= _DEEPEST:
            _wrong(f"${{{inner[:40]}}}", place)
            return ""
        if operator is None:
            return self._plain(name.group(), place)
        word, kind = rest[operator.end() :], operator.group()[-1]
        value = self.get(name.group())
        given = bool(value) if operator.group().startswith(":") else value is not None
        if kind == "+":
            return self.replace(word, place, depth + 1) if given else ""
        if given:
            return value or ""
        if kind == "-":
            return self.replace(word, place, depth + 1)
        said = self.replace(word, place, depth + 1) or "it has no value"
        place.error(f"The variable {name.group()} is required: {said}. Give it in `variables`, or in a file .env.")
        return ""

    def _plain(self, name: str, place: Place) -> str:
        value = self.get(name)
        if value is None:
            place.warn(f"The variable {name} is not set: it is taken as empty.")
        return value or ""


def _closing(text: str, start: int) -> int | None:
    """Where the brace that belongs to the one before `start` is."""
    depth, position = 1, start
    while position < len(text):
        if text.startswith("$$", position):
            position += 2
            continue
        if text.startswith("${", position):
            depth += 1
            position += 2
            continue
        if text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return None


def _wrong(fragment: str, place: Place) -> None:
    place.error(f"{fragment} is no variable: write ${{NAME}}, ${{NAME:-default}}, or $$ for a dollar sign.")
