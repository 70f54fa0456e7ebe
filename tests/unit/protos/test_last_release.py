from pathlib import Path

import pytest

from protos.check_breaking import last_release

ROOT = Path(__file__).parents[3]


def test_the_newest_release_is_compared_with() -> None:
    text = f"# Changelog\n## Unreleased\n\n## 1.6.0, commit {'b' * 40}\n- x\n\n## 1.5.5, commit {'a' * 40}\n"
    assert last_release(text) == "b" * 40


def test_a_changelog_without_a_release_is_an_error_and_not_nothing_to_do() -> None:
    with pytest.raises(ValueError, match="names no release"):
        last_release("# Changelog\n## Unreleased\n")


def test_the_changelog_names_a_release() -> None:
    assert len(last_release((ROOT / "CHANGELOG.md").read_text())) == 40
