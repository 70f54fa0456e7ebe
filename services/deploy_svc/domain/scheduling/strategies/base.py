"""What every strategy is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, Protocol

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement, label


class NothingChosen(Exception):
    """None of the remaining nodes is right; the message says why."""


class Strategy(Protocol):
    """Picks a node. `grace_seconds` is how long a lost node keeps its instances before they go elsewhere."""

    name: str
    grace_seconds: int

    def instance_count(self, nodes: int, instances: int) -> int:
        """How many instances a service wants on this many nodes."""
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


def pick(nodes: Sequence[NodeView], rank: Callable[[NodeView], Any], rng: Random | None) -> NodeView:
    """The node of the least rank; among several a random one, or the one of the least number without `rng`."""
    ranks = [rank(node) for node in nodes]
    least = min(ranks)
    best = sorted((node for node, own in zip(nodes, ranks, strict=True) if own == least), key=_order)
    return best[0] if rng is None else rng.choice(best)


def emptiest(placement: Placement, survivors: Sequence[NodeView], key: str, load: Mapping[str, int]) -> list[NodeView]:
    """The survivors with those values of the label `key` that have the fewest instances; `load` is by node, also of
    nodes that did not survive. Nodes without the label are one value."""
    in_zone: Counter[str] = Counter()
    for node_id, number in load.items():
        in_zone[_zone(placement.labels.get(node_id, ()), key)] += number
    loads = [in_zone[_zone(node.labels, key)] for node in survivors]
    least = min(loads)
    return [node for node, own in zip(survivors, loads, strict=True) if own == least]


@lru_cache(maxsize=10_000)
def _zone(labels: tuple[str, ...], key: str) -> str:
    """Asked for each node and each instance, of labels that most nodes share."""
    return label(labels, key)


def _order(node: NodeView) -> tuple[int, str]:
    return node.number, node.name
