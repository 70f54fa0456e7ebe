"""What the scheduler knows of the world when it decides."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from services.deploy_svc.domain.service import Service

# The volume driver that an agent has which only pretends to run containers.
HOLLOW = "hollow"


@dataclass(frozen=True, slots=True)
class MemorySample:
    """The newest memory sample of a node, in bytes."""

    used: float
    free: float
    cached: float
    buffers: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """An instance that is on a node, or on its way there; `service` is `stack/name`.

    `container` is the name of its container, None while it has none.
    """

    service_id: str
    service: str
    instance_number: int
    node_ports: frozenset[int] = frozenset()
    container: str | None = None


def label(labels: Iterable[str], key: str, default: str = "default") -> str:
    """The value of the first label `key=value`."""
    prefix = f"{key}="
    return next((text[len(prefix) :] for text in labels if text.startswith(prefix)), default)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the scheduler sees it. `offline_seconds` says for how long it has been lost.

    `volumes` are the engine volumes of the asking service that exist there.
    """

    id: str
    name: str
    number: int
    labels: tuple[str, ...] = ()
    connected: bool = True
    availability: str = "active"
    cpus: int = 0
    mem_total: float = 0.0
    memory: MemorySample | None = None
    offline_seconds: float = 0.0
    volume_drivers: tuple[str, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    volumes: frozenset[str] = frozenset()

    def may_return(self, patience: float) -> float:
        """Seconds that the node, lost a moment ago, still has to come back before anything is decided; 0 when it is not
        lost, or not to be waited for."""
        if self.connected or self.availability != "active":
            return 0.0
        return max(0.0, patience - self.offline_seconds)

    def label(self, key: str, default: str = "default") -> str:
        """The value of the first label `key=value`."""
        return label(self.labels, key, default)

    def numbers(self, service_id: str) -> set[int]:
        """Instance numbers of the service that are recorded here."""
        return {item.instance_number for item in self.recorded if item.service_id == service_id}

    def holds(self, service_id: str, number: int) -> bool:
        """Whether this very instance is recorded here."""
        return any(item.service_id == service_id and item.instance_number == number for item in self.recorded)

    def with_recorded(self, *items: Recorded) -> "NodeView":
        """The node with more instances."""
        return replace(self, recorded=(*self.recorded, *items)) if items else self

    def with_volumes(self, names: frozenset[str] | None) -> "NodeView":
        """The node with these engine volumes of the asking service."""
        return replace(self, volumes=names) if names else self


@dataclass(frozen=True, slots=True)
class Placement:
    """The question: where does instance `number` of the service go?

    `affinity` is the effective one (the service's own, else the default of its grid), `memory_need` bytes or 0 when
    unknown. `scheduled` holds the placements of this run, by instance number; `own` which numbers of the service are
    recorded on a node, by its id, where there are any; `labels` those of all nodes, by id, and `label_sets` those that
    differ. `departed` says that an
    instance has left the node where it is recorded as soon as this run placed it elsewhere, as it has in a dry run.
    """

    service: Service
    number: int
    affinity: tuple[str, ...] = ()
    memory_need: float = 0.0
    scheduled: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    own: Mapping[str, Collection[int]] = field(default_factory=lambda: MappingProxyType({}))
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    label_sets: Collection[tuple[str, ...]] = frozenset()
    departed: bool = True

    @property
    def path(self) -> str:
        """`grid/stack/service-N`."""
        return f"{self.service.path}-{self.number}"

    def load(self, node: NodeView) -> int:
        """How many instances this run placed on the node."""
        return sum(1 for node_id in self.scheduled.values() if node_id == node.id)
