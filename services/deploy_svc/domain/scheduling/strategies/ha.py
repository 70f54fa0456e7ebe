"""High availability: spread over zones (label `az`, or that of `spread`), then over nodes; then stay; then prefer free
memory."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import Spread, emptiest, pick, stay

ZONE = "az"


class Ha:
    """The strategy `ha`."""

    name = "ha"
    grace_seconds = 120

    def instance_count(self, nodes: int, instances: int) -> int:
        return instances

    def spread(self, placement: Placement) -> Spread:
        return Spread(placement.service.spec.spread or ZONE, Counter(placement.scheduled.values()))

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Random | None
    ) -> NodeView:
        if placement.service.spec.stateful and home is not None:
            return stay(placement, survivors, home)
        spread = self.spread(placement)
        if spread.load:
            survivors = _least_loaded(placement, survivors, spread)

        def rank(node: NodeView) -> tuple[bool, int, float]:
            elsewhere = home is None or node.id != home.id
            return elsewhere, _coming(placement, node), _memory_share(node)

        return pick(survivors, rank, rng)


def _least_loaded(placement: Placement, survivors: Sequence[NodeView], spread: Spread) -> list[NodeView]:
    """Of the zones with the fewest instances of this run the nodes with the fewest."""
    there = emptiest(placement, survivors, spread)
    least = min(spread.load.get(node.id, 0) for node in there)
    return [node for node in there if spread.load.get(node.id, 0) == least]


def _coming(placement: Placement, node: NodeView) -> int:
    """How many instances are there and were not asked about yet: whoever takes their place may make them move."""
    there = placement.own.get(node.id, ())
    return sum(1 for number in there if number != placement.number and number not in placement.scheduled)


def _memory_share(node: NodeView) -> float:
    """Used share of the memory; 0 while it is unknown."""
    return node.memory.used / node.mem_total if node.memory is not None and node.mem_total > 0 else 0.0
