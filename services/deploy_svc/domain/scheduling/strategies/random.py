"""Random: any node; an instance that has one keeps it."""

from collections.abc import Sequence
from random import Random as Rng

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import pick, stay


class Random:
    """The strategy `random`."""

    name = "random"
    grace_seconds = 30

    def instance_count(self, nodes: int, instances: int) -> int:
        return instances

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Rng | None
    ) -> NodeView:
        stays = home is not None and any(node.id == home.id for node in survivors)
        if home is not None and (stays or placement.service.spec.stateful):
            return stay(placement, survivors, home)
        return pick(survivors, lambda _node: 0, rng)
