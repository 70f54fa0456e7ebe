"""The own instances of a service as the scheduler sees them on nodes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from services.deploy_svc.domain import pod
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service


def with_own(
    nodes: Sequence[NodeView], service: Service, instances: Iterable[Instance], going: Mapping[int, str]
) -> tuple[NodeView, ...]:
    """The nodes with the instances where they are, and where they are `going`, by instance number."""
    ports = service.spec.node_ports
    places: defaultdict[str, list[Recorded]] = defaultdict(list)
    for item in instances:
        number = item.instance_number
        name = pod.container_name(service.stack, service.name, number) if item.container_id else None
        record = Recorded(service.id, f"{service.stack}/{service.name}", number, ports, name)
        for home in {item.node_id, going.get(number)} - {None}:
            places[str(home)].append(record)
    if not places:
        return tuple(nodes)
    return tuple(node.with_recorded(*places[node.id]) if node.id in places else node for node in nodes)
