"""High availability: spread over zones (label `az`, or that of `spread`), then over nodes; then stay; then prefer free
memory."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import Spread, emptiest, has_one_value, least, pick, stay

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
        here = None if home is None else next((node for node in survivors if node.id == home.id), None)
        # No node has fewer: the answer for most instances of a service that lies well, on however many nodes.
        if here is not None and here.id not in spread.load and has_one_value(placement, spread):
            return here
        if spread.load:
            survivors = _least_loaded(placement, survivors, spread)
        if here is not None and any(node is here for node in survivors):
            return here
        if coming := _coming(placement):
            survivors = least(survivors, [coming[node.id] for node in survivors])
        return pick(least(survivors, _memory_shares(survivors)), rng)


def _least_loaded(placement: Placement, survivors: Sequence[NodeView], spread: Spread) -> Sequence[NodeView]:
    """Of the zones with the fewest instances of this run the nodes with the fewest."""
    there = emptiest(placement, survivors, spread)
    return least(there, [spread.load.get(node.id, 0) for node in there])


def _coming(placement: Placement) -> Counter[str]:
    """How many instances are on each node and were not asked about yet: whoever takes their place may make them
    move."""
    asked = {placement.number, *placement.scheduled}
    there = {node_id: len(set(numbers) - asked) for node_id, numbers in placement.own.items()}
    return Counter({node_id: count for node_id, count in there.items() if count})


def _memory_shares(nodes: Sequence[NodeView]) -> list[float]:
    """Used share of the memory of each; 0 while it is unknown."""
    return [
        node.memory.used / node.mem_total if node.memory is not None and node.mem_total > 0 else 0.0 for node in nodes
    ]
