"""What is imported meanwhile does without a package, or without what a package loads, and nobody else does."""

import importlib
import sys
from pathlib import Path

import pytest

from services.kernel.lean import bare, without


def test_it_is_hidden_in_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_what_is_loaded_stays_loaded() -> None:
    with without("sys"):
        assert importlib.import_module("sys") is sys
    assert sys.modules["sys"] is sys


def test_a_module_is_imported_without_what_its_package_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "laden"
    package.mkdir()
    (package / "__init__.py").write_text("from laden.light import NAME\nfrom laden.heavy import WEIGHT\n")
    (package / "light.py").write_text("NAME = object()\n")
    (package / "heavy.py").write_text("WEIGHT = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with bare("laden"):
        light = importlib.import_module("laden.light")
    assert "laden.heavy" not in sys.modules
    whole = importlib.import_module("laden")
    assert (whole.NAME is light.NAME, whole.WEIGHT) == (True, 1)
    for name in ("laden", "laden.light", "laden.heavy"):
        del sys.modules[name]


def test_a_package_that_is_loaded_stays_as_it_is() -> None:
    whole = importlib.import_module("json")
    with bare("json"):
        assert importlib.import_module("json") is whole
    assert importlib.import_module("json") is whole
