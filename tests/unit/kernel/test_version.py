"""Which versions work together, and that there is one number."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.version import VERSION, precedes, window, works_with

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("theirs", "ours", "fits"),
    [
        ("1.6.0", "1.6.5", True),
        ("1.6.99", "1.6.5", True),
        ("1.6", "1.6.5", True),
        ("1.5.5", "1.6.0", True),
        ("1.7.0", "1.6.0", True),
        ("1.4.5", "1.6.0", False),
        ("1.8.0", "1.6.0", False),
        ("2.6.0", "1.6.0", False),
        ("1.6.0.pre3", "1.6.5", False),
        ("1.6.0.pre3", "1.6.5.pre1", True),
        ("1.6.0-rc1", "1.6.5", False),
        ("1.6.0", "1.6.5.pre1", True),
        ("", "1.6.5", False),
        ("one", "1.6.5", False),
        ("1.6.x", "1.6.5", False),
    ],
)
def test_the_same_major_and_a_neighbouring_minor_number_work_together(theirs: str, ours: str, fits: bool) -> None:
    assert works_with(theirs, ours) is fits


@given(st.text(), st.text())
def test_any_texts_work_together_or_not(theirs: str, ours: str) -> None:
    assert works_with(theirs, ours) in {True, False}


def test_the_window_is_told_in_words() -> None:
    assert [window("1.6.0"), window("2.0.1-rc1")] == ["1.5 to 1.7", "2.0 to 2.1"]


def test_releases_are_in_order() -> None:
    assert precedes("1.9.1", "1.10")
    assert not precedes("1.6.0", "1.6.0")
    assert precedes("nonsense", "0.0.1")


def test_manifests_name_this_version() -> None:
    named = {
        path.parent.name: re.findall(r"newTag: ([^}\s]+)", path.read_text())
        for path in (REPOSITORY / "deploy" / "kubernetes").rglob("kustomization.yaml")
    }
    assert {tag for tags in named.values() for tag in tags} == {VERSION}
