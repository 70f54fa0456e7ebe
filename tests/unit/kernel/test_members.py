from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from services.kernel.members import made_of, members


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
