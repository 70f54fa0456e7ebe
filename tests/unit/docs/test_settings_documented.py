"""An operator finds every setting: each environment variable of every process is on a page."""

import re

import pytest

from deploy.local.settings import LocalSettings
from services.kernel.settings import variables
from tests.support.pages import ROOT, tracked
from tests.support.roles import SETTINGS

PAGES = ["docs/operations.md", *(path for path in tracked("*.md") if path.endswith("README.md"))]
NAMED = set(re.findall(r"`(?:make )?([A-Z][A-Z0-9_]+)\b", "\n".join((ROOT / page).read_text() for page in PAGES)))


@pytest.mark.parametrize("process", [*SETTINGS, "local"])
def test_every_variable_is_on_a_page(process: str) -> None:
    names = variables(LocalSettings if process == "local" else SETTINGS[process])
    assert [name for aliases in names for name in aliases if name not in NAMED] == []
