"""docs/must-hold.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NAMED = re.compile(r"`(test_\w+\.py)?(?:::(test_\w+))?`")


def rows() -> dict[int, list[tuple[str, str]]]:
    """(file, test) by number; the test is empty where the whole file is meant."""
    found: dict[int, list[tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "must-hold.md").read_text().splitlines():
        if match := re.match(r"\| (\d+) \|", line):
            file = ""
            named = found.setdefault(int(match[1]), [])
            for name, test in _NAMED.findall(line):
                file = name or file
                named.append((file, test))
    return found


def test_every_idea_has_a_row() -> None:
    assert sorted(rows()) == list(range(1, 70))


def test_every_test_that_is_named_exists() -> None:
    files: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        files[path.name] = files.get(path.name, "") + path.read_text()
    missing = [
        (number, file, test)
        for number, named in rows().items()
        for file, test in named
        if file not in files or (test and f"def {test}(" not in files[file])
    ]
    assert missing == []
