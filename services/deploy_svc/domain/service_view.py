"""What an answer shows of a service: the stored part, and what depends on other objects."""

from dataclasses import dataclass

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import Link


@dataclass(frozen=True, slots=True)
class ServiceView:
    """`links` are those whose target exists; `affinity` is the grid's default when the service has none."""

    service: Service
    links: tuple[Link, ...] = ()
    affinity: tuple[str, ...] = ()
    total: int = 0
    running: int = 0
    healthy: int = 0
    unhealthy: int = 0
