"""What is told to whoever follows a deploy: a line per change, the last one with how it ended. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from services.deploy_svc.domain.service_deploy import DeployState, ServiceDeploy
from services.deploy_svc.domain.stack_deploy import StackDeploy

_GONE = "It was removed while it went on"

Step = Literal["queued", "rolling_out", "instance", "finished"]


@dataclass(frozen=True, slots=True)
class Line:
    """One change of a deploy. `service` is the path where it is not the deploy of a stack itself, `instance` and `node`
    are of one instance; `reason` says why something failed."""

    deploy_id: str
    step: Step
    state: DeployState
    service: str | None = None
    instance: int | None = None
    node: str | None = None
    reason: str | None = None


def of_service(path: str, deploy: ServiceDeploy) -> Iterator[Line]:
    """All there is to tell of a deploy, in order; the end last."""
    yield Line(deploy.id, "queued", "created", path)
    if deploy.started_at is not None:
        yield Line(deploy.id, "rolling_out", "ongoing", path)
    for item in deploy.instance_deploys:
        yield Line(deploy.id, "instance", item.state, path, item.instance_number, item.node or None, item.error)
    if deploy.finished_at is not None:
        yield Line(deploy.id, "finished", deploy.state, path, reason=deploy.reason)


def of_stack(deploy: StackDeploy) -> Iterator[Line]:
    """All there is to tell of a deploy and those of its services; its own end last."""
    yield Line(deploy.id, "queued", "created")
    if deploy.state != "created":
        yield Line(deploy.id, "rolling_out", "ongoing")
    for service, own in deploy.service_deploys:
        yield from of_service(service.path, own)
    if deploy.finished_at is not None:
        yield Line(deploy.id, "finished", deploy.state, reason=deploy.reason)


def gone(first: Line) -> Line:
    """The end of a deploy that was removed with its service or stack; `first` is the first line that was told of it."""
    return replace(first, step="finished", state="error", instance=None, node=None, reason=_GONE)
