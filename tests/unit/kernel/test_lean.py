"""A package that is there is hidden from what is imported meanwhile, and from nobody else."""

import importlib
import sys

import pytest

from services.kernel.lean import without


def test_it_is_hidden_in_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_what_is_loaded_stays_loaded() -> None:
    with without("sys"):
        assert importlib.import_module("sys") is sys
    assert sys.modules["sys"] is sys
