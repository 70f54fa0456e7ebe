"""What an answer shows of a service: the stored part, and what depends on other objects."""

from collections.abc import Collection
from dataclasses import dataclass, field

from services.deploy_svc.domain.service import Service, ServiceState
from services.deploy_svc.domain.service_spec import Link


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """How many instances of a service have a container, run, and are known to be healthy or not."""

    total: int = 0
    running: int = 0
    healthy: int = 0
    unhealthy: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What depends on other objects than the service. `links` are those whose target exists; `affinity` is the grid's
    default when the service has none; `checked` says whether the service has a health check."""

    grid: str
    links: tuple[Link, ...] = ()
    affinity: tuple[str, ...] = ()
    counts: InstanceCounts = field(default=InstanceCounts())
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What the surroundings of a version of a service are made of."""

    grid: str
    links: tuple[Link, ...]
    affinity: tuple[str, ...]
    checked: bool

    def met(
        self, existing: Collection[tuple[str, str]], default_affinity: tuple[str, ...], counts: InstanceCounts
    ) -> Surroundings:
        """The surroundings, where the services that exist are these (stack, name) pairs."""
        links = tuple(link for link in self.links if (link.stack, link.service) in existing) if self.links else ()
        return Surroundings(self.grid, links, self.affinity or default_affinity, counts, self.checked)


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service with its surroundings."""

    service: Service
    around: Surroundings


@dataclass(frozen=True, slots=True)
class ServicePart:
    """What is kept of a version of a service: its own part of the answer, encoded, and what the rest depends on."""

    encoded: bytes
    etag: str
    needs: Needs
    stack: str
    state: ServiceState


@dataclass(frozen=True, slots=True)
class ShownService:
    """What an answer is put together from: the part of the service, and its surroundings, encoded."""

    id: str
    part: ServicePart
    around: bytes


def needs(service: Service) -> Needs:
    """What the surroundings of the service depend on."""
    spec = service.spec
    return Needs(service.grid, spec.links, spec.affinity, spec.health_check is not None)
