"""High availability: spread over zones, then over nodes; then stay; then prefer free memory."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import pick, stay


class Ha:
    """The strategy `ha`."""

    name = "ha"
    grace_seconds = 120

    def instance_count(self, nodes: int, instances: int) -> int:
        return instances

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Random | None
    ) -> NodeView:
        if placement.service.spec.stateful and home is not None:
            return stay(placement, survivors, home)
        load = Counter(placement.scheduled.values())
        zone_of = {node.id: node.label("az") if node.labels else "default" for node in survivors}
        zones: Counter[str] = Counter()
        for node_id, number in load.items():
            if node_id in zone_of:
                zones[zone_of[node_id]] += number
        emptiest = min(zones[zone] for zone in set(zone_of.values()))

        def rank(node: NodeView) -> tuple[int, bool, int, float]:
            elsewhere = home is None or node.id != home.id
            return load[node.id], elsewhere, _coming(placement, node), _memory_share(node)

        return pick([node for node in survivors if zones[zone_of[node.id]] == emptiest], rank, rng)


def _coming(placement: Placement, node: NodeView) -> int:
    """How many instances are there and were not asked about yet: whoever takes their place may make them move."""
    if not node.recorded:
        return 0
    there = node.numbers(placement.service.id) - {placement.number}
    return sum(1 for number in there if number not in placement.scheduled)


def _memory_share(node: NodeView) -> float:
    """Used share of the memory; 0 while it is unknown."""
    return node.memory.used / node.mem_total if node.memory is not None and node.mem_total > 0 else 0.0
