"""What people are told about a rollout: the events of one step, in order."""

from collections.abc import Iterator

from services.deploy_svc.domain.event import ERROR, INFO, WARN, Event
from services.deploy_svc.domain.rollout_plan import (
    Action,
    Finish,
    MarkInstance,
    Plan,
    RollBack,
    Run,
    Snapshot,
    Start,
    StopOnOldNode,
)
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service

TYPE = "service:deploy"


def events(snapshot: Snapshot, plan: Plan) -> list[Event]:
    """The events of a step that is applied."""
    return [event for action in plan.actions for event in _about(snapshot, action)]


def about_service(
    service: Service, kind: str, message: str, severity: int = INFO, *, number: int | None = None, node_id: str = ""
) -> Event:
    """An event about a service, or about one of its instances."""
    return Event(
        grid_id=service.grid_id,
        type=kind,
        message=message,
        severity=severity,
        stack=service.stack,
        service_id=service.id,
        service=service.name,
        instance_number=number,
        node_id=node_id or None,
    )


def _about(snapshot: Snapshot, action: Action) -> Iterator[Event]:
    service = snapshot.service
    name = f"{service.stack}/{service.name}"
    match action:
        case Start():
            yield about_service(service, TYPE, f"deploy of {name} started: {action.total} instances")
        case StopOnOldNode(number):
            home = _home(snapshot, number) or ""
            message = f"stopping instance {number} of {name} on its previous node {_node_name(snapshot, home)}"
            yield about_service(service, TYPE, message, number=number, node_id=home)
        case Run():
            yield from _about_move(snapshot, action)
        case MarkInstance(_, number, "error", error):
            message = f"instance {number} of {name} failed: {error or 'unknown error'}"
            yield about_service(service, TYPE, message, ERROR, number=number)
        case Finish(state="success"):
            yield about_service(service, TYPE, f"deploy of {name} finished")
        case Finish():
            yield about_service(service, TYPE, f"deploy of {name} failed: {action.reason or 'unknown reason'}", ERROR)
        case RollBack():
            yield about_service(service, TYPE, f"{name} goes back to its last good revision", WARN)


def _about_move(snapshot: Snapshot, run: Run) -> Iterator[Event]:
    """A warning when the instance goes to another node without having been stopped on the one it was on."""
    service = snapshot.service
    before = next((item for item in snapshot.instances if item.instance_number == run.instance_number), None)
    if before is None or before.node_id == run.node_id or (before.rev is not None and before.rev >= run.deploy_rev):
        return
    what = f"instance {run.instance_number} of {service.stack}/{service.name}"
    goes_to = f"goes to node {_node_name(snapshot, run.node_id)}"
    if before.node_id is None:
        message = f"{what} {goes_to}: it was on no node any more"
    else:
        old = _node(snapshot, before.node_id)
        why = "did not stop it in time" if old is not None and old.connected else "is not connected"
        message = f"{what} {goes_to}: its previous node {_node_name(snapshot, before.node_id)} {why}"
    yield about_service(service, TYPE, message, WARN, number=run.instance_number, node_id=run.node_id)


def _home(snapshot: Snapshot, number: int) -> str | None:
    return next((item.node_id for item in snapshot.instances if item.instance_number == number), None)


def _node(snapshot: Snapshot, node_id: str) -> NodeView | None:
    return next((node for node in snapshot.nodes if node.id == node_id), None)


def _node_name(snapshot: Snapshot, node_id: str) -> str:
    node = _node(snapshot, node_id)
    return node.name if node is not None else node_id
