"""What other services follow of grids and nodes. Two equal records need no event."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from services.grid_svc.domain.node import Driver
from services.grid_svc.domain.resource_usage import MemoryUsage


@dataclass(frozen=True, slots=True)
class GridRecord:
    """A grid as others see it."""

    id: str
    name: str
    default_affinity: tuple[str, ...]
    subnet: str
    supernet: str
    initial_size: int


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as others see it."""

    id: str
    grid_id: str
    node_id: str
    name: str
    node_number: int
    connected: bool
    availability: str
    labels: tuple[str, ...]
    cpus: int
    mem_total: float
    memory: MemoryUsage | None
    public_ip: str
    private_ip: str
    session: int
    disconnected_at: datetime | None
    volume_drivers: tuple[Driver, ...]
    overlay_ip: str
    initial_member: bool
    disconnected_seconds: float = field(compare=False)


Record = TypeVar("Record", GridRecord, NodeRecord)


@dataclass(frozen=True, slots=True)
class Upserted(Generic[Record]):
    """It exists with these values."""

    record: Record


@dataclass(frozen=True, slots=True)
class Deleted:
    """It is gone."""

    id: str


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything that exists was sent."""


Event = Upserted[Record] | Deleted | Synced
