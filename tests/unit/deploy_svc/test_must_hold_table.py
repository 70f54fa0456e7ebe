"""docs/must-hold.md names a test for each idea; the tests exist."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROWS = [line for line in (ROOT / "docs/must-hold.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]
# `file.py::test`, `file.py`, or `::test` in the file named before it.
_NAMED = re.compile(r"`(test_\w+\.py)?(?:::(\w+))?`")


def test_every_idea_has_a_row() -> None:
    assert [int(row.split("|")[1]) for row in ROWS] == list(range(1, 70))


def test_every_named_test_exists() -> None:
    tests: defaultdict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        tests[path.name] |= set(re.findall(r"def (test_\w+)\(", path.read_text()))
    missing = []
    for row in ROWS:
        name = ""
        for file, test in _NAMED.findall(row):
            name = file or name
            if name not in tests or (test and test not in tests[name]):
                missing.append(f"{name}::{test}")
    assert missing == []
