"""What every strategy is."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


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


def _order(node: NodeView) -> tuple[int, str]:
    return node.number, node.name
