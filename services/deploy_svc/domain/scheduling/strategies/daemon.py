"""Daemon: the same number of instances on every node that passes the filters."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import stay


class Daemon:
    """The strategy `daemon`: deterministic, moves nothing that is where it may be."""

    name = "daemon"
    grace_seconds = 600

    def instance_count(self, nodes: int, instances: int) -> int:
        return nodes * instances

    def spread(self, placement: Placement) -> None:
        return None

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Random | None
    ) -> NodeView:
        if placement.service.spec.stateful and home is not None:
            return stay(placement, survivors, home)
        if home is not None and any(node.id == home.id for node in survivors):
            return stay(placement, survivors, home)
        most = len(survivors) * placement.service.spec.instances
        scheduled: defaultdict[str, set[int]] = defaultdict(set)
        for number, node_id in placement.scheduled.items():
            scheduled[node_id].add(number)
        load: Counter[str] = Counter()
        for node in survivors:
            stays = {
                number
                for number in placement.own.get(node.id, ())
                if number <= most and placement.scheduled.get(number, node.id) == node.id
            }
            load[node.id] = len(stays | scheduled[node.id])
        return min(survivors, key=lambda node: (load[node.id], node.number, node.name))
