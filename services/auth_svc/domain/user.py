"""Accounts and the roles they may hold (docs/spec/auth_grid.md sections 2 and 3)."""

import re
from dataclasses import dataclass

from services.kernel.errors import ValidationFailed
from services.kernel.validation import clean

ADMIN_EMAIL = "admin"
ADMIN_NAME = "admin"
# The only role that takes rights away.
VIEWER = "viewer"

_EMAIL = re.compile(r"([^@\s]+)@((?:[-a-z0-9]+\.)+[a-z]{2,})", re.IGNORECASE | re.ASCII)
_LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True)
class Role:
    """A global right. `grid_admin` takes effect in the grids its holder belongs to."""

    name: str
    description: str


MASTER_ADMIN = Role("master_admin", "Master admin")
ROLES = (
    MASTER_ADMIN,
    Role("grid_admin", "Grid admin"),
    Role("user_admin", "Invite and remove users"),
    Role(VIEWER, "See grids without changing them"),
)


@dataclass(frozen=True, slots=True)
class User:
    """An account; `roles` are sorted by name."""

    id: str
    email: str
    name: str | None = None
    roles: tuple[Role, ...] = ()


def valid_email(text: str) -> str:
    """The e-mail without surrounding white space. Raises ValidationFailed."""
    email = clean(text)
    if not email:
        raise ValidationFailed({"email": "Email can't be blank"})
    if len(email) > _LONGEST_EMAIL:
        raise ValidationFailed({"email": "Email is too long"})
    if _EMAIL.fullmatch(email) is None:
        raise ValidationFailed({"email": "Email isn't in the right format"})
    return email
