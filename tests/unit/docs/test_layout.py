"""Where things of the tests are: what several tests need is in a module of its own."""

import re

from tests.support.pages import ROOT, tracked

_FROM_A_TEST = re.compile(r"^(?:from|import) tests\.\S*\btest_\w+", re.MULTILINE)


def test_nothing_is_imported_from_a_test() -> None:
    found = {path: _FROM_A_TEST.findall((ROOT / path).read_text()) for path in tracked("tests/*.py")}
    assert len(found) > 100
    assert {path: lines for path, lines in found.items() if lines} == {}
