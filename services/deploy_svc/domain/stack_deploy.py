"""A deploy of a stack: its progress and its outcome (docs/spec/deploy_rest.md section 6.2)."""

from dataclasses import dataclass, field
from datetime import datetime

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked, DeployState, ServiceDeploy


@dataclass(frozen=True, slots=True)
class StackDeploy:
    """`service_deploys` are those it has begun and whose services still exist, in order."""

    id: str
    stack_id: str
    revision: int
    state: DeployState
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    service_deploys: tuple[tuple[Service, ServiceDeploy], ...] = ()
    asked: Asked = field(default=Asked())
    canceled_at: datetime | None = None
