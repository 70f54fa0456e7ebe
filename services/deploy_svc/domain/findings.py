"""What a conversion has to say about files, each time with the exact place."""

from dataclasses import dataclass

_MOST, _LONGEST = 100, 100


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about one place, such as `services.web.ports[0]`."""

    path: str
    message: str


class Findings:
    """Collects errors and warnings, the first hundred of each. What is not supported is an error, or a warning for
    those who asked to ignore it."""

    def __init__(self, *, ignore_unsupported: bool = False) -> None:
        self.ignore_unsupported = ignore_unsupported
        self.errors: dict[str, str] = {}
        self.warnings: dict[str, Finding] = {}

    def error(self, path: str, message: str) -> None:
        """The first one of a place stays."""
        if len(self.errors) < _MOST:
            self.errors.setdefault(path, message)

    def warn(self, path: str, message: str) -> None:
        """Each sentence about a place once."""
        if len(self.warnings) < _MOST:
            self.warnings.setdefault(f"{path}\n{message}", Finding(path, message))


class Place:
    """Where in a file something is; what is found there goes to the findings of the conversion."""

    __slots__ = ("findings", "path")

    def __init__(self, findings: Findings, path: str = "") -> None:
        self.findings = findings
        self.path = path

    def at(self, key: str | int) -> "Place":
        """A member, or an element."""
        if isinstance(key, int):
            return Place(self.findings, f"{self.path}[{key}]")
        name = key[:_LONGEST] or '""'
        return Place(self.findings, f"{self.path}.{name}" if self.path else name)

    def error(self, message: str) -> None:
        """Nothing is converted."""
        self.findings.error(self.path, message)

    def warn(self, message: str) -> None:
        """It is converted, and something is other than the file says."""
        self.findings.warn(self.path, message)

    def unsupported(self, message: str) -> None:
        """It has no counterpart here: `message` says what to do instead."""
        if self.findings.ignore_unsupported:
            self.warn(f"Ignored: {message}")
        else:
            self.error(message)
