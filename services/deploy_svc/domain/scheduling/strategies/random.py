"""Random: any node, or with `spread` any of the values with the fewest instances; an instance that has one keeps it."""

from collections import Counter
from collections.abc import Sequence
from random import Random as Rng

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import Spread, emptiest, pick, stay


class Random:
    """The strategy `random`."""

    name = "random"
    grace_seconds = 30

    def instance_count(self, nodes: int, instances: int) -> int:
        return instances

    def spread(self, placement: Placement) -> Spread | None:
        key = placement.service.spec.spread
        return Spread(key, _load(placement)) if key else None

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Rng | None
    ) -> NodeView:
        stays = home is not None and any(node.id == home.id for node in survivors)
        if home is not None and (stays or placement.service.spec.stateful):
            return stay(placement, survivors, home)
        if spread := self.spread(placement):
            survivors = emptiest(placement, survivors, spread)
        return pick(survivors, rng)


def _load(placement: Placement) -> Counter[str]:
    """Other instances by node: those that this run placed, and those that stay where they are."""
    homes = {number: node_id for node_id, numbers in placement.own.items() for number in numbers}
    homes.pop(placement.number, None)
    return Counter({**homes, **placement.scheduled}.values())
