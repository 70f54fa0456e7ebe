"""What other services follow of this one (services/kernel/watch.py)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridUsage:
    """What a grid, named by its id, holds."""

    id: str
    services: int
    containers: int


@dataclass(frozen=True, slots=True)
class VaultUser:
    """A service with the names of the secrets that it uses; `path` is `grid/stack/service`."""

    id: str
    grid_id: str
    path: str
    name: str
    secrets: tuple[str, ...]
