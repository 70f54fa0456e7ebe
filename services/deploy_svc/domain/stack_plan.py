"""What a document would do: a dry run of the deploy on a snapshot of the nodes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.deploy_svc.domain.pod import container_name
from services.deploy_svc.domain.revision import Change
from services.deploy_svc.domain.rollout_plan import OFFLINE_SECONDS
from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler, effective_affinity
from services.deploy_svc.domain.scheduling.reasons import Reason
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service

MOST_INSTANCES = 500


@dataclass(frozen=True, slots=True)
class PlannedPlacement:
    """Where an instance would be and which rules led there, or why nowhere; `current` is the node it is on now."""

    instance_number: int
    node: str | None
    current: str | None
    reason: str | None = None
    rules: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedService:
    """What would happen to a service."""

    name: str
    action: Literal["create", "change", "keep", "remove"]
    changes: tuple[Change, ...] = ()
    placements: tuple[PlannedPlacement, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What would happen to a stack."""

    path: str
    revision: int
    services: tuple[PlannedService, ...]

    @property
    def changed(self) -> bool:
        """Whether anything would be another than it is."""
        return any(service.action != "keep" for service in self.services)


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What would happen to a service that is changed by itself."""

    path: str
    revision: int
    service: PlannedService


@dataclass(frozen=True, slots=True)
class Placed:
    """The placements of one service, why there are no more, and the nodes with them."""

    placements: tuple[PlannedPlacement, ...]
    reason: str | None
    nodes: tuple[NodeView, ...]


def place(
    service: Service,
    nodes: Sequence[NodeView],
    default_affinity: tuple[str, ...],
    memory_need: float = 0.0,
    patience: float = OFFLINE_SECONDS,
) -> Placed:
    """Place the instances of a service as its deploy would, on nodes that show all instances of the grid.

    Ties are broken by node number, where a deploy may draw lots. A node that was lost a moment ago keeps its instances,
    as the deploy waits `patience` seconds for it.
    """
    settled = [
        replace(node, connected=True) if node.may_return(patience) and node.numbers(service.id) else node
        for node in nodes
    ]
    scheduler = Scheduler(service, settled, effective_affinity(service, default_affinity), memory_need)
    wanted = scheduler.numbers()
    total = len(wanted)
    if total == 0 and service.spec.instances > 0:
        return Placed((), str(scheduler.why_none()), tuple(nodes))
    homes = {number: node.name for node in nodes for number in node.numbers(service.id)}
    found: list[PlannedPlacement] = []
    for number in wanted[:MOST_INSTANCES]:
        try:
            node = scheduler.schedule(number)
        except CannotPlace as error:
            found.append(PlannedPlacement(number, None, homes.get(number), str(error)))
            break
        found.append(PlannedPlacement(number, node.name, homes.get(number), rules=scheduler.reasons(number)))
        scheduler.reserve(node.id, number)
    reason = f"Only the first {MOST_INSTANCES} of {total} instances are shown" if total > MOST_INSTANCES else None
    return Placed(tuple(found), reason, _with(service, nodes, scheduler.scheduled))


def _with(service: Service, nodes: Sequence[NodeView], scheduled: dict[int, str]) -> tuple[NodeView, ...]:
    """The nodes as the next service finds them."""
    ports = service.spec.node_ports
    path = f"{service.stack}/{service.name}"
    seen = []
    for node in nodes:
        others = tuple(item for item in node.recorded if item.service_id != service.id)
        numbers = [number for number, key in scheduled.items() if key == node.id]
        # With a container, which is there when it is the turn of those that depend on it.
        own = [
            Recorded(service.id, path, number, ports, container_name(service.stack, service.name, number))
            for number in numbers
        ]
        seen.append(replace(node, recorded=(*others, *own)))
    return tuple(seen)
