"""The newest sample of a node's resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Bytes."""

    used: float = 0.0
    cached: float = 0.0
    buffers: float = 0.0
    total: float = 0.0
    free: float = 0.0
    active: float = 0.0
    inactive: float = 0.0


@dataclass(frozen=True, slots=True)
class FilesystemUsage:
    """Bytes."""

    name: str
    used: float = 0.0
    total: float = 0.0
    free: float = 0.0
    available: float = 0.0


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Percent, summed over all cores."""

    num_cores: int = 0
    system: float = 0.0
    user: float = 0.0
    nice: float = 0.0
    idle: float = 0.0

    @property
    def used(self) -> float:
        """What is not idle and not waiting, as clients know it."""
        return self.system + self.user + self.nice


@dataclass(frozen=True, slots=True)
class InterfaceUsage:
    """Bytes, and bytes per second; the sum of some interfaces."""

    interfaces: tuple[str, ...] = ()
    rx_bytes: float = 0.0
    rx_bytes_per_second: float = 0.0
    tx_bytes: float = 0.0
    tx_bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class NetworkUsage:
    """Traffic between containers of the grid, and the rest."""

    internal: InterfaceUsage | None = None
    external: InterfaceUsage | None = None


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """A sample. `network` is kept in the history only."""

    memory: MemoryUsage | None = None
    load: Mapping[str, float] = field(default_factory=dict)
    filesystem: tuple[FilesystemUsage, ...] = ()
    cpu: CpuUsage | None = None
    network: NetworkUsage | None = None


def with_filesystem(usage: ResourceUsage | None, name: str) -> tuple[FilesystemUsage, ...]:
    """The filesystems of a sample, with an entry called `name` in any case: clients look it up without asking."""
    known = usage.filesystem if usage else ()
    return known if any(entry.name == name for entry in known) else (*known, FilesystemUsage(name))
