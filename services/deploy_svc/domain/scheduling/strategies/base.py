"""What every strategy is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from random import Random
from typing import Protocol

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement, label

# Of nodes that are as good as one another.
_ORDER = attrgetter("number", "name")


class NothingChosen(Exception):
    """None of the remaining nodes is right; the message says why."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The label `key`, and how many instances count on each node, by its id. Nodes without the label are one value."""

    key: str
    load: Mapping[str, int]

    def value(self, labels: tuple[str, ...]) -> str:
        """The value of a node with these labels."""
        return _zone(labels, self.key)

    def loads(self, placement: Placement) -> Counter[str]:
        """How many instances count for each value, also those on nodes that no filter left."""
        found: Counter[str] = Counter()
        for node_id, number in self.load.items():
            found[self.value(placement.labels.get(node_id, ()))] += number
        return found


class Strategy(Protocol):
    """Picks a node. `grace_seconds` is how long a lost node keeps its instances before they go elsewhere."""

    name: str
    grace_seconds: int

    def instance_count(self, nodes: int, instances: int) -> int:
        """How many instances a service wants on this many nodes."""
        ...

    def spread(self, placement: Placement) -> Spread | None:
        """What instances are spread over before anything else counts; None when they are not."""
        ...

    def choose(
        self, placement: Placement, survivors: Sequence[NodeView], home: NodeView | None, rng: Random | None
    ) -> NodeView:
        """One of the survivors (at least one). `home` is the node where the instance is recorded, survivor or not.

        Without `rng` ties are broken by node number. Raises NothingChosen.
        """
        ...


def stay(placement: Placement, survivors: Sequence[NodeView], home: NodeView) -> NodeView:
    """The home of a stateful instance: its data is there and nowhere else. Raises NothingChosen."""
    for node in survivors:
        if node.id == home.id:
            return node
    raise NothingChosen(f"the data of {placement.path} is on node {home.name}, which cannot take it now")


def least(nodes: Sequence[NodeView], ranks: Sequence[float]) -> Sequence[NodeView]:
    """Those of the nodes (at least one) with the least rank. Asked for each instance of all nodes of a grid."""
    lowest = min(ranks)
    return [node for node, own in zip(nodes, ranks, strict=True) if own == lowest]


def pick(nodes: Sequence[NodeView], rng: Random | None) -> NodeView:
    """A random one, whatever their order, or the one of the least number without `rng`."""
    return min(nodes, key=_ORDER) if rng is None else rng.choice(sorted(nodes, key=_ORDER))


def emptiest(placement: Placement, survivors: Sequence[NodeView], spread: Spread) -> Sequence[NodeView]:
    """The survivors with those values of the label that have the fewest instances."""
    if has_one_value(placement, spread):
        return survivors
    values = {labels: spread.value(labels) for labels in placement.label_sets}
    in_zone = spread.loads(placement)
    return least(survivors, [in_zone[values[node.labels]] for node in survivors])


def has_one_value(placement: Placement, spread: Spread) -> bool:
    """Whether all nodes of the grid have the same value of the label, so that it decides nothing."""
    return len({spread.value(labels) for labels in placement.label_sets}) == 1


@lru_cache(maxsize=10_000)
def _zone(labels: tuple[str, ...], key: str) -> str:
    """Asked for each node and each instance, of labels that most nodes share."""
    return label(labels, key)
