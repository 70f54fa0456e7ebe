"""The files of the repository that people read."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS_PAGE = "docs/operations/settings.md"


def guide() -> str:
    """The operations guide, but for the page that is made from the settings classes."""
    pages = ["docs/operations.md", *(path for path in tracked("docs/operations/*.md") if path != SETTINGS_PAGE)]
    return "\n".join((ROOT / path).read_text() for path in pages)


@cache
def tracked(*patterns: str) -> tuple[str, ...]:
    """Paths of tracked files, and of new ones that are not ignored, from the root of the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for path in found if (ROOT / path).is_file())
