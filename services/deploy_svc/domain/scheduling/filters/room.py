"""Keeps nodes that have fewer instances of the service than it allows on one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


class Room:
    """`max_per_node` counts what is recorded on a node, and what this run placed there."""

    name = "room"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return placement.service.spec.max_per_node is not None

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        most = placement.service.spec.max_per_node
        if most is None:
            return Verdict(tuple(nodes))
        placed = _placed(placement)

        def refuse(node: NodeView) -> str | None:
            there = set(placement.own.get(node.id, ()))
            if placement.departed:
                there = {number for number in there if placement.scheduled.get(number, node.id) == node.id}
            there |= placed.get(node.id, set())
            full = len(there - {placement.number}) >= most
            return f"max_per_node {most} is reached" if full else None

        return split(self.name, nodes, refuse)


def _placed(placement: Placement) -> Mapping[str, set[int]]:
    placed: defaultdict[str, set[int]] = defaultdict(set)
    for number, node_id in placement.scheduled.items():
        placed[node_id].add(number)
    return placed
