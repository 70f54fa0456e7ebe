"""Who is calling. Filled by authentication, read by the policy of each service."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# With one of these a token has all rights of its owner; whatever else there is gives less.
FULL_SCOPES = frozenset({"user", "owner"})
READ_SCOPE = "read"


def is_limited(scopes: Iterable[str]) -> bool:
    """Whether a token with these scopes has less than the rights of its owner. A scope that is not known limits."""
    return not FULL_SCOPES.issuperset(scopes)


@dataclass(frozen=True, slots=True)
class NodeSession:
    """An agent's session: the node it speaks for, and the number that tells newer sessions from older ones."""

    grid_id: str
    node_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Principal:
    """A user with a token, another service of the suite, or a node agent.

    `roles` and `grid_ids` are set for users only, `service` for services only, `node` for agents only. `expires_at` is
    the end of a user's token, None when it has none.
    """

    kind: Literal["user", "service", "node"]
    user_id: str = ""
    email: str = ""
    roles: frozenset[str] = frozenset()
    grid_ids: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    token_id: str = ""
    expires_at: datetime | None = None
    service: str = ""
    node: NodeSession | None = field(default=None)

    @property
    def is_limited(self) -> bool:
        """Whether the caller's token has less than the rights of its owner."""
        return is_limited(self.scopes)

    @property
    def is_master_admin(self) -> bool:
        """Whether the caller has all rights (docs/spec/auth_grid.md section 2.1)."""
        return not self.is_limited and self._of_master_admin

    @property
    def sees_all_grids(self) -> bool:
        """Whether the caller may see every grid."""
        return self._of_master_admin and (not self.is_limited or READ_SCOPE in self.scopes)

    def has_access(self, grid_id: str) -> bool:
        """Whether the caller may see the grid at all."""
        return self.sees_all_grids or grid_id in self.grid_ids

    def is_grid_admin(self, grid_id: str) -> bool:
        """Whether the caller administrates the grid."""
        own = "grid_admin" in self.roles and grid_id in self.grid_ids
        return self.is_master_admin or (own and not self.is_limited)

    def may_change(self, grid_id: str) -> bool:
        """Whether the caller may change things in the grid: members may, but viewers only as grid_admin. Which things
        those are for a token that is limited to a grid, `services/kernel/scopes.py` says."""
        changes = self.has_access(grid_id) and "viewer" not in self.roles and READ_SCOPE not in self.scopes
        return self.is_grid_admin(grid_id) or changes

    def may_read_values(self, grid_id: str) -> bool:
        """Whether the caller may read what is secret in the grid: whoever may use it there, with a token of all
        rights."""
        return self.may_change(grid_id) and not self.is_limited

    @property
    def _of_master_admin(self) -> bool:
        return "master_admin" in self.roles or (self.kind == "user" and self.email == "admin")
