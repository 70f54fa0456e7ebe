"""What people are told about a rollout: the events of one step, in order."""

from collections.abc import Iterator

from services.deploy_svc.domain.event import ERROR, INFO, WARN, Event
from services.deploy_svc.domain.rollout_plan import (
    Action,
    Finish,
    MarkInstance,
    Plan,
    RollBack,
    Snapshot,
    Start,
    StopOnOldNode,
)
from services.deploy_svc.domain.service import Service

TYPE = "service:deploy"


def events(snapshot: Snapshot, plan: Plan) -> list[Event]:
    """The events of a step that is applied."""
    return [event for action in plan.actions for event in _about(snapshot, action)]


def about_service(service: Service, kind: str, message: str, severity: int = INFO) -> Event:
    """An event about a whole service."""
    return Event(
        grid_id=service.grid_id,
        type=kind,
        message=message,
        severity=severity,
        stack=service.stack,
        service_id=service.id,
        service=service.name,
    )


def _about(snapshot: Snapshot, action: Action) -> Iterator[Event]:
    service = snapshot.service
    name = f"{service.stack}/{service.name}"
    match action:
        case Start():
            yield about_service(service, TYPE, f"deploy of {name} started: {action.total} instances")
        case StopOnOldNode():
            node = _node(snapshot, action.instance_number)
            message = f"stopping instance {action.instance_number} of {name} on its previous node {node}"
            yield about_service(service, TYPE, message)
        case MarkInstance(state="error"):
            message = f"instance {action.instance_number} of {name} failed: {action.error or 'unknown error'}"
            yield about_service(service, TYPE, message, ERROR)
        case Finish(state="success"):
            yield about_service(service, TYPE, f"deploy of {name} finished")
        case Finish():
            yield about_service(service, TYPE, f"deploy of {name} failed: {action.reason or 'unknown reason'}", ERROR)
        case RollBack():
            yield about_service(service, TYPE, f"{name} goes back to its last good revision", WARN)


def _node(snapshot: Snapshot, number: int) -> str:
    node_id = next((item.node_id for item in snapshot.instances if item.instance_number == number), None)
    return next((node.name for node in snapshot.nodes if node.id == node_id), "")
