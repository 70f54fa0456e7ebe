"""Who is calling. Filled by authentication, read by the policy of each service."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


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
    def is_master_admin(self) -> bool:
        """Whether the caller has all rights (docs/spec/auth_grid.md section 2.1)."""
        return "master_admin" in self.roles or (self.kind == "user" and self.email == "admin")

    def has_access(self, grid_id: str) -> bool:
        """Whether the caller may see the grid at all."""
        return self.is_master_admin or grid_id in self.grid_ids

    def is_grid_admin(self, grid_id: str) -> bool:
        """Whether the caller administrates the grid."""
        return self.is_master_admin or ("grid_admin" in self.roles and grid_id in self.grid_ids)

    def may_change(self, grid_id: str) -> bool:
        """Whether the caller may change things in the grid: members may, but viewers only as grid_admin."""
        return self.is_grid_admin(grid_id) or (self.has_access(grid_id) and "viewer" not in self.roles)
