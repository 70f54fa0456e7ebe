"""Keeps data away from nodes that may vanish."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement

_LABEL = "ephemeral"


class Ephemeral:
    """A stateful service does not go to a node labelled `ephemeral`, unless this very instance is there already."""

    name = "ephemeral"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return placement.service.spec.stateful

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        if not placement.service.spec.stateful:
            return Verdict(tuple(nodes))

        def refuse(node: NodeView) -> str | None:
            labelled = any(label.partition("=")[0] == _LABEL for label in node.labels)
            if not labelled or node.holds(placement.service.id, placement.number):
                return None
            return f"the node is labelled {_LABEL}, and the service is stateful"

        return split(self.name, nodes, refuse)
