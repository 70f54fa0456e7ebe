"""A secret value in clear, wrapped so that it cannot slip into a log line, an error or a trace by accident."""

import hmac
from typing import NoReturn


class Plaintext:
    """Only `reveal` and `data` give the value away; text forms are redacted, equality takes constant time."""

    __hash__ = None  # type: ignore[assignment]  # A hash would let values be compared and cached in sets.
    __slots__ = ("data",)

    def __init__(self, value: str | bytes) -> None:
        self.data: bytes = value.encode() if isinstance(value, str) else value

    def reveal(self) -> str:
        """The value as text, exactly as it was given."""
        return self.data.decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plaintext) and hmac.compare_digest(self.data, other.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return "Plaintext([redacted])"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret value is never serialized")
