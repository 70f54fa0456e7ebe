"""Daemon: the same number of instances on every node that passes the filters."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import least, pick, stay


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
        if home is not None and any(node.id == home.id for node in survivors) and _belongs(placement, home):
            return stay(placement, survivors, home)
        load = _load(placement)
        return pick(least(survivors, [load[node.id] for node in survivors]), None)


def lowest(numbers: Iterable[int], instances: int) -> list[int]:
    """Those of the instances on a node that it keeps where each node has so many."""
    return sorted(numbers)[:instances]


def _belongs(placement: Placement, home: NodeView) -> bool:
    return placement.number in lowest(placement.own.get(home.id, ()), placement.service.spec.instances)


def _load(placement: Placement) -> Counter[str]:
    """Instances by node: what stays where it is, and what this run placed."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for node_id, own in placement.own.items():
        numbers[node_id] |= {number for number in own if placement.scheduled.get(number, node_id) == node_id}
    for number, node_id in placement.scheduled.items():
        numbers[node_id].add(number)
    return Counter({node_id: len(found) for node_id, found in numbers.items()})
