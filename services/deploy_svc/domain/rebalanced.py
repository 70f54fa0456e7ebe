"""A service with what moves of it, and the deploy that moves it."""

from dataclasses import dataclass

from services.deploy_svc.domain.scheduling.rebalance import Rebalance
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """What moves of a service, and the deploy that does it; None when nothing moves, or when it was only asked."""

    service: Service
    rebalance: Rebalance
    deploy: ServiceDeploy | None = None
