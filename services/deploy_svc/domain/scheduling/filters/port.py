"""Keeps nodes where the published ports are free."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


class Port:
    """No other instance on the node may publish the same node port, whatever its address, protocol or state."""

    name = "port"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return bool(placement.service.spec.node_ports)

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        wanted = placement.service.spec.node_ports
        if not wanted:
            return Verdict(tuple(nodes))

        def refuse(node: NodeView) -> str | None:
            own = (placement.service.id, placement.number)
            others = [item for item in node.recorded if (item.service_id, item.instance_number) != own]
            holders = {item.service for item in others if item.node_ports & wanted}
            taken = sorted({port for item in others for port in item.node_ports & wanted})
            if not taken:
                return None
            ports = f"port{'s' if len(taken) > 1 else ''} {', '.join(map(str, taken))}"
            return f"{ports} taken by {', '.join(sorted(holders))}"

        return split(self.name, nodes, refuse)
