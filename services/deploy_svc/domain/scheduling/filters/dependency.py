"""Keeps nodes where the containers are that the service attaches to."""

from collections.abc import Iterable, Sequence

from services.deploy_svc.domain.scheduling.affinity_rule import substitute
from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.service_spec import ServiceSpec

_NET = "container:"


def attaches(spec: ServiceSpec) -> bool:
    """Whether instances need a container of another service on their node."""
    return bool(spec.volumes_from) or spec.net.startswith(_NET)


class Dependency:
    """`volumes_from` (one match among the entries is enough) and `net: container:NAME`, in the own stack."""

    name = "dependency"
    alone = False

    def varies(self, placement: Placement) -> bool:
        return attaches(placement.service.spec)

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        spec = placement.service.spec
        volumes = [substitute(name, placement.number) for name in spec.volumes_from]
        net = substitute(spec.net.removeprefix(_NET), placement.number) if spec.net.startswith(_NET) else ""

        def refuse(node: NodeView) -> str | None:
            live = _live(node, placement.service.stack)
            if volumes and not live & set(volumes):
                return f"no container {_either(volumes)} is there to take volumes from"
            return f"no container {net} is there to share the network of" if net and net not in live else None

        return split(self.name, nodes, refuse) if volumes or net else Verdict(tuple(nodes))


def _live(node: NodeView, stack: str) -> set[str]:
    """`service-N`, and the full name, of each container of the stack on the node."""
    own = [item for item in node.recorded if item.container and item.service.startswith(f"{stack}/")]
    short = {f"{item.service.partition('/')[2]}-{item.instance_number}" for item in own}
    return short | {item.container for item in own if item.container}


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)
