"""Configs: texts of a grid that services get as files and that are no secrets."""

import re
from dataclasses import dataclass
from datetime import datetime

from services.kernel.validation import Checker

# Also what names the file where a service says no path.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
LONGEST_NAME = 64
# As of a secret: both travel to nodes in one message with all others of an instance.
LONGEST_CONTENT = 131_072


@dataclass(frozen=True, slots=True)
class Config:
    """A row of `grid_configs` without its text; `size` are the bytes of that."""

    id: str
    grid_id: str
    grid: str
    name: str
    size: int
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def path(self) -> str:
        """`grid/name`."""
        return f"{self.grid}/{self.name}"

    @property
    def etag(self) -> str:
        """Names this version of it."""
        return f"{self.id}-{self.revision}"


@dataclass(frozen=True, slots=True)
class ConfigView:
    """What an answer shows: (path, name) of the services that use it; no text in lists."""

    config: Config
    content: str | None = None
    services: tuple[tuple[str, str], ...] = ()


def is_name(text: str) -> bool:
    """Whether a config may be called so."""
    return len(text) <= LONGEST_NAME and NAME.fullmatch(text) is not None


def check_new(name: str | None, content: str | None) -> tuple[str, str]:
    """Name and text of a new config. Raises ValidationFailed with all errors."""
    check = Checker()
    named = check.text("name", name, required=True, pattern=NAME, longest=LONGEST_NAME)
    found = _checked(check, content)
    check.done()
    return named or "", found


def check_content(content: str | None) -> str:
    """The new text of a config. Raises ValidationFailed."""
    check = Checker()
    found = _checked(check, content)
    check.done()
    return found


def _checked(check: Checker, content: str | None) -> str:
    if content is None:
        check.fail("content", "Content is required")
    elif "\0" in content:
        check.fail("content", "Content contains a NUL character: configs are texts")
    elif len(content.encode()) > LONGEST_CONTENT:
        check.fail("content", f"Content is too long (maximum is {LONGEST_CONTENT} bytes)")
    return content or ""
