"""What other services follow of grids and nodes (services/kernel/watch.py)."""

from dataclasses import dataclass, field
from datetime import datetime

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
    host_access: str


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as others see it."""

    id: str
    grid_id: str
    engine_id: str
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
