"""What can go wrong between a client and the master."""

from collections.abc import Mapping


class KontenaError(Exception):
    """Base of all errors of this library."""


class Unreachable(KontenaError):
    """No answer came: nobody listens, the connection broke, or it took too long."""

    def __init__(self, url: str, asked: str, reason: str) -> None:
        super().__init__(f"{asked}: no answer from {url}: {reason}")
        self.url = url
        self.asked = asked
        self.reason = reason


class ApiError(KontenaError):
    """The master refused a request.

    `fields` has a message for each wrong attribute, `message` is all of it as one text; `asked` is the method and the
    path; `request_id` finds the request in the logs of the master; `retry_after` is in seconds, when it was said.
    """

    def __init__(self, status: int, asked: str, error: object, headers: Mapping[str, str]) -> None:
        self.status = status
        self.asked = asked
        self.fields = {name: _text(value) for name, value in error.items()} if isinstance(error, Mapping) else {}
        self.message = "; ".join(f"{name}: {text}" for name, text in self.fields.items()) or _text(error)
        self.request_id = headers.get("x-request-id", "")
        self.retry_after = seconds(headers.get("retry-after", ""))
        super().__init__(f"{asked}: {status} {self.message}")


def seconds(text: str) -> float | None:
    """A header's number of seconds, if it is one."""
    return float(text) if text.isdecimal() else None


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_text(one) for one in value)
    return str(value or "")
