from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from services.kernel.members import flag, made_of, members


@dataclass(frozen=True, slots=True)
class Shown:
    name: str
    size: int
    words: tuple[str, ...] = ()


def test_members_of_the_same_name_are_taken_and_others_are_given() -> None:
    row = SimpleNamespace(name="a", size=1, words="x", more=2)
    assert made_of(Shown, row, words=("x",)) == Shown("a", 1, ("x",))


def test_a_member_that_is_missing_is_an_error_even_where_the_field_has_a_default() -> None:
    with pytest.raises(AttributeError, match="words"):
        made_of(Shown, SimpleNamespace(name="a", size=1))


def test_members_are_the_fields_but_for_some() -> None:
    words = ("x",)
    found = members(Shown("a", 1, words), but=["size"])
    assert found == {"name": "a", "words": words}
    assert found["words"] is words


@pytest.mark.parametrize("given", [True, "true", "1"])
def test_a_flag_that_is_set(given: Any) -> None:
    assert flag(ParseDict(given, Value()))


@pytest.mark.parametrize("given", [False, None, "false", "0", "TRUE", "", 1, 0, [], {}, {"a": True}, [True]])
def test_a_flag_that_is_not_set(given: Any) -> None:
    assert not flag(ParseDict(given, Value()))


def test_an_absent_flag_is_not_set() -> None:
    assert not flag(Value())
