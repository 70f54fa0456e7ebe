"""Whoever follows a pointer to a page, a section or a record finds it: in code, protos, tests and pages."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.pages import ROOT, tracked

# Not ours to change.
GIVEN = "docs/api-reference.md"
FILES = [
    path
    for path in tracked("*.py", "*.proto", "*.md", "*.yaml", "*.yml", "*.toml", "*.lua", "Makefile", "*.html")
    if path not in (GIVEN, "tests/unit/docs/test_pointers.py")
]
SPECIFICATION = [path for path in FILES if path.startswith("docs/spec/")]

_PAGE = re.compile(r"\bdocs/[\w./-]*\w\.\w+")
_NUMBERS = r"\d+(?:\.\d+)*(?:(?:, | and |, and | to )\d+(?:\.\d+)*)*"
_SECTIONS = re.compile(rf"\b(docs/spec/\w+\.md) sections? ({_NUMBERS})")
_WITHOUT_PAGE = re.compile(r"(?<!docs/)(?<!\]\()\bspec/\w+\.md|\bspec section|\bdesign section|\bseed/")
_RECORD = re.compile(r"\bdocs/adr/(\d{4})\b|\bADRs? (\d+)\b|\bRecords? (\d+)\b", re.IGNORECASE)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_OWN = re.compile(rf"(?:§|(?<!\.md )(?<!\d )(?<!RFC )\b[Ss]ections? )({_NUMBERS})")


@cache
def text(path: str) -> str:
    """The file, with the line breaks inside sentences of comments and pages taken out."""
    return re.sub(r"[ \t]*\n[ \t]*(?:#|//|--|\*)?[ \t]*", " ", (ROOT / path).read_text())


@cache
def sections(page: str) -> frozenset[str]:
    """Numbers of the headings of a page."""
    return frozenset(re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", (ROOT / page).read_text(), re.MULTILINE))


def missing(page: str, numbers: str) -> list[str]:
    given = re.findall(r"\d+(?:\.\d+)*", numbers)
    return [f"{page} section {number}" for number in given if number not in sections(page)]


RECORDS = {int(Path(path).name[:4]) for path in FILES if re.fullmatch(r"docs/adr/\d{4}-[a-z0-9-]+\.md", path)}


def test_pages_exist() -> None:
    gone = [(path, page) for path in FILES for page in _PAGE.findall(text(path)) if not (ROOT / page).exists()]
    assert gone == []


def test_sections_exist() -> None:
    pointers = [(path, *found) for path in FILES for found in _SECTIONS.findall(text(path))]
    assert len(pointers) > 150
    assert [(path, wrong) for path, page, numbers in pointers for wrong in missing(page, numbers)] == []


def test_pointers_name_their_page() -> None:
    assert [(path, found) for path in FILES for found in _WITHOUT_PAGE.findall(text(path))] == []


def test_records_exist() -> None:
    for path in FILES:
        numbers = [int("".join(found)) for found in _RECORD.findall(text(path))]
        assert [number for number in numbers if number not in RECORDS] == [], path


@pytest.mark.parametrize("page", SPECIFICATION)
def test_the_specification_points_at_its_own_sections(page: str) -> None:
    without_pages = _SECTIONS.sub("", text(page))
    assert [wrong for numbers in _OWN.findall(without_pages) for wrong in missing(page, numbers)] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in FILES if path.endswith(".md")]
    links = [(page, target) for page in pages for target in _LINK.findall((ROOT / page).read_text())]
    assert [link for link in links if not (ROOT / link[0]).parent.joinpath(link[1]).exists()] == []
