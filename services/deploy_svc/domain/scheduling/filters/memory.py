"""Keeps nodes with enough memory."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement

_MIB = 1024 * 1024


class Memory:
    """A node needs the memory in total, and, when it sent statistics, available right now.

    The node where this very instance is recorded is kept: the instance already uses the memory.
    """

    name = "memory"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return bool(_need(placement))

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        need = _need(placement)
        if not need:
            return Verdict(tuple(nodes))

        def refuse(node: NodeView) -> str | None:
            if node.holds(placement.service.id, placement.number):
                return None
            if node.mem_total < need:
                return f"{_mib(node.mem_total)} in total, {_mib(need)} are needed"
            if node.memory is None:
                return None
            available = node.memory.free + node.memory.cached + node.memory.buffers
            return None if available >= need else f"less than the needed {_mib(need)} available"

        return split(self.name, nodes, refuse)


def _need(placement: Placement) -> float:
    spec = placement.service.spec
    return float(spec.memory or spec.memory_swap or placement.memory_need)


def _mib(size: float) -> str:
    return f"{size / _MIB:.0f} MiB"
