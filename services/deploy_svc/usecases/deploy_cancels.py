"""Canceling deploys: what deploys of services and of stacks have in common."""

from services.deploy_svc.domain import deploy_cancel as rules
from services.deploy_svc.domain.event import WARN, Event
from services.deploy_svc.domain.rollout_events import TYPE, about_service
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.domain.stack_deploy import StackDeploy
from services.deploy_svc.store import deploy_cancels as store
from services.deploy_svc.store import instances
from services.kernel.db import Tx
from services.kernel.errors import ValidationFailed
from services.kernel.principal import Principal


def is_over(deploy: ServiceDeploy | StackDeploy) -> bool:
    """Whether it was canceled already. Raises ValidationFailed when it ended by itself."""
    if deploy.finished_at is not None and deploy.canceled_at is None:
        raise ValidationFailed({"deploy": f"The deploy {deploy.id} has ended already, in {deploy.state}"})
    return deploy.canceled_at is not None


def who(principal: Principal) -> str:
    """The caller, in words for everybody."""
    return principal.email or principal.service or "a user"


async def cancel(tx: Tx, service: Service, deploy: ServiceDeploy, by: str) -> Event:
    """Cancel an unfinished deploy. Call with the service locked. Returns what to tell at the end of the transaction."""
    there = await instances.of_service(tx, service.id)
    plan = rules.cancel(deploy, there, await store.formers(tx, deploy.id), by)
    await store.apply(tx, service.id, plan)
    return about_service(service, TYPE, f"deploy of {service.stack}/{service.name}: {plan.finish.reason}", WARN)
