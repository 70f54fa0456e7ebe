"""Input checks with the messages clients know (docs/spec/auth_grid.md section 1.5,
docs/spec/deploy_rest.md section 1.4)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.kernel.errors import ValidationFailed

NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+", re.ASCII)

_UNPRINTABLE = re.compile(r"[^\t\r\n\x20-\x7e\u00a0-\U0010ffff]+")


def title(attribute: str) -> str:
    """`initial_size` becomes `Initial Size`."""
    return " ".join(word.capitalize() for word in attribute.split("_"))


def clean(value: str) -> str:
    """Unprintable runs become one space; white space around the value goes away."""
    return _UNPRINTABLE.sub(" ", value).strip()


class Checker:
    """Collects the errors of one object; `done` raises them all at once."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}

    def fail(self, attribute: str, problem: Any) -> None:
        """Record an error: a whole message, nested errors, or a list. The first one of an attribute stays."""
        self.errors.setdefault(attribute, problem)

    def text(
        self,
        attribute: str,
        value: str | None,
        *,
        required: bool = False,
        pattern: re.Pattern[str] | None = None,
        options: Collection[str] | None = None,
        shortest: int = 0,
        longest: int | None = None,
    ) -> str | None:
        """The cleaned text, or None when it is absent or wrong."""
        if value is None:
            if required:
                self.fail(attribute, f"{title(attribute)} is required")
            return None
        text = clean(value)
        problem = text_problem(text, pattern, options, shortest, longest)
        if problem:
            self.fail(attribute, f"{title(attribute)} {problem}")
            return None
        return text

    def number(
        self,
        attribute: str,
        value: int | None,
        *,
        required: bool = False,
        smallest: int | None = None,
        biggest: int | None = None,
    ) -> int | None:
        """The number, or None when it is absent or out of bounds."""
        if value is None:
            if required:
                self.fail(attribute, f"{title(attribute)} is required")
        elif smallest is not None and value < smallest:
            self.fail(attribute, f"{title(attribute)} is too small")
        elif biggest is not None and value > biggest:
            self.fail(attribute, f"{title(attribute)} is too big")
        else:
            return value
        return None

    def texts(
        self,
        attribute: str,
        values: Sequence[str],
        *,
        pattern: re.Pattern[str] | None = None,
        longest: int | None = None,
        most: int | None = None,
    ) -> list[str]:
        """The cleaned elements, none when there are more than `most`; errors are aligned with the input, None where an
        element is fine."""
        if most is not None and len(values) > most:
            self.fail(attribute, f"{title(attribute)} has too many elements (maximum is {most})")
            return []
        cleaned = [clean(value) for value in values]
        problems = [
            f"{title(attribute)}[{index}] {problem}"
            if (problem := text_problem(text, pattern, longest=longest))
            else None
            for index, text in enumerate(cleaned)
        ]
        if any(problems):
            self.fail(attribute, problems)
        return cleaned

    def nested(self, attribute: str, checker: "Checker") -> None:
        """Take over the errors of a nested object."""
        if checker.errors:
            self.fail(attribute, checker.errors)

    def elements(self, attribute: str, checkers: Sequence["Checker"]) -> None:
        """Take over the errors of the objects in a list, aligned with the input."""
        if any(checker.errors for checker in checkers):
            self.fail(attribute, [checker.errors or None for checker in checkers])

    def done(self, *more: Mapping[str, Any]) -> None:
        """Raise ValidationFailed when anything was recorded."""
        for errors in more:
            for attribute, problem in errors.items():
                self.fail(attribute, problem)
        if self.errors:
            raise ValidationFailed(self.errors)


def text_problem(
    text: str,
    pattern: re.Pattern[str] | None = None,
    options: Collection[str] | None = None,
    shortest: int = 0,
    longest: int | None = None,
) -> str | None:
    """What is wrong with a text, to be said behind the name of its attribute."""
    if not text:
        return "can't be blank"
    if len(text) < shortest:
        return "is too short"
    if longest is not None and len(text) > longest:
        return "is too long"
    if options is not None and text not in options:
        return "isn't an option"
    if pattern is not None and pattern.fullmatch(text) is None:
        return "isn't in the right format"
    return None
