"""Keeps nodes that take new instances."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


class Availability:
    """A node whose availability is not `active` (e.g. `drain`) is dropped."""

    name = "availability"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return False

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        if all(node.availability == "active" for node in nodes):
            return Verdict(tuple(nodes))
        return split(self.name, nodes, _refuse)


def _refuse(node: NodeView) -> str | None:
    return None if node.availability == "active" else f"availability is {node.availability}"
