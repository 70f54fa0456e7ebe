"""Answers put together from parts that are encoded already.

Messages one behind the other are one message with the members of all (Protocol Buffers, "Encoding", "Last One Wins").
A part may not repeat a list that is in another part with other lists in between, or JSON would show the list twice.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

_LENGTH_DELIMITED = 2


def listing(kind: type[Message], member: str, items: Iterable[bytes], rest: Message | None = None) -> bytes:
    """A message whose list `member` has these encoded messages, and whose other members `rest` has."""
    tag = _varint(kind.DESCRIPTOR.fields_by_name[member].number << 3 | _LENGTH_DELIMITED)
    parts: list[bytes] = []
    for item in items:
        parts += (tag, _varint(len(item)), item)
    if rest is not None:
        parts.append(rest.SerializeToString())
    return b"".join(parts)


def serialize(message: Any) -> bytes:
    """The bytes of an answer, which may be encoded already."""
    if isinstance(message, bytes):
        return message
    encoded: bytes = message.SerializeToString()
    return encoded


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
