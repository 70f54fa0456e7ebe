"""Rows, messages and domain objects whose members have the same names: one made of another, without a list of these
names that a new one could be missing from."""

from collections.abc import Callable, Collection
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

T = TypeVar("T")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def made_of(kind: Callable[..., T], source: Any, /, **others: Any) -> T:
    """A `kind`, a dataclass, of the members of `source` that are called like its fields, and of `others`. Raises
    AttributeError for a field that neither has."""
    same = {name: getattr(source, name) for name in _names(kind) if name not in others}
    return kind(**same, **others)


def given(message: Message, *names: str) -> dict[str, Any]:
    """The optional fields of a message by these names; None for one that is not set."""
    return {name: getattr(message, name) if message.HasField(name) else None for name in names}


def flag(value: Value) -> bool:
    """JSON true, or one of the strings `true` and `1`."""
    return value.bool_value or value.string_value in ("true", "1")


def members(one: Any, *, but: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass by name, but for some. Unlike `asdict` it copies nothing."""
    kind: Any = type(one)
    return {name: getattr(one, name) for name in _names(kind) if name not in but}
