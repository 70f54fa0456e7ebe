"""Which part of the audit log is asked for (docs/spec/auth_grid.md section 10)."""

from dataclasses import dataclass

from services.kernel.errors import InvalidRequest
from services.kernel.ids import is_id

DEFAULT = 500
MOST = 3000


@dataclass(frozen=True, slots=True)
class Page:
    """The newest `limit` entries, of those that arrived before entry number `before`."""

    limit: int = DEFAULT
    before: int | None = None


def page(limit: str, before: str) -> Page:
    """Any limit that is not a number from 1 to 3000 means the default. Raises InvalidRequest for a wrong id."""
    limit = limit.strip()
    number = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) <= len(str(MOST)) else 0
    return Page(number if 1 <= number <= MOST else DEFAULT, _number(before.strip()))


def entry_id(number: int) -> str:
    """The id of an entry; ids sort in the order of arrival."""
    return f"{number:024x}"


def _number(entry: str) -> int | None:
    if not entry:
        return None
    number = int(entry, 16) if is_id(entry) else 2**63
    if number >= 2**63:
        raise InvalidRequest("before must be the id of an entry", field="before")
    return number
