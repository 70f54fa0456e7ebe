"""An operator finds every setting of every process, with its default, on one page."""

from deploy.local.settings import LocalSettings
from deploy.settings_page import PARTS, page
from tests.support.pages import ROOT, SETTINGS_PAGE
from tests.support.roles import SETTINGS


def test_the_page_is_what_the_settings_classes_say() -> None:
    assert (ROOT / SETTINGS_PAGE).read_text() == page(), "run `make settings-page`"


def test_every_part_has_a_section() -> None:
    assert {*SETTINGS.values(), LocalSettings} <= {part.settings for part in PARTS}


def test_every_setting_says_what_it_means() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |")] == []
