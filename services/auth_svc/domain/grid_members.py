"""What other services follow of memberships (services/kernel/watch.py)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridMembers:
    """How many members a grid, named by its id, has."""

    id: str
    users: int
