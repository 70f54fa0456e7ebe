import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.domain.grid_input import NewGrid, check_new
from services.grid_svc.domain.names import node_name, random_name, unique_name


@given(st.integers(), st.integers(0, 60))
def test_random_names_are_good_names(seed: int, attempt: int) -> None:
    name = random_name(random.Random(seed), attempt)
    assert re.fullmatch(r"[a-z]+-[a-z]+" + ("" if attempt < 5 else r"-\d+"), name)
    assert check_new(NewGrid(name=name)).name == name


@pytest.mark.parametrize(
    ("announced", "name"),
    [("web", "web"), ("web.example.test", "web.example.test"), (" a b ", "a-b"), ("a/b:c", "a-b-c"), ("::", "")],
)
def test_node_names(announced: str, name: str) -> None:
    assert node_name(announced) == name


@given(st.text())
def test_node_names_fit_into_a_path(announced: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]{0,200}", node_name(announced))


@given(
    st.sampled_from(["a", "a-1", "b"]), st.integers(1, 5), st.sets(st.sampled_from(["a", "a-1", "a-1-2", "b", "b-3"]))
)
def test_unique_names(announced: str, number: int, taken: set[str]) -> None:
    name = unique_name(announced, number, taken)
    assert name not in taken
    assert name.startswith(announced)
    assert name == announced or announced in taken


def test_a_taken_name_gets_the_number() -> None:
    assert unique_name("web", 4, {"web"}) == "web-4"
    assert unique_name("web", 4, {"web", "web-4"}) == "web-4-2"
