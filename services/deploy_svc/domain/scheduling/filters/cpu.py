"""Keeps nodes with enough cores."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


class Cpu:
    """A node needs as many cores as the service asks for; what others use is not subtracted."""

    name = "cpu"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return False

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        need = placement.service.spec.cpus
        if not need:
            return Verdict(tuple(nodes))
        return split(
            self.name, nodes, lambda node: None if node.cpus >= need else f"{node.cpus} cores, {need:g} are needed"
        )
