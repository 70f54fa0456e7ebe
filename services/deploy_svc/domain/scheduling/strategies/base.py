"""What every strategy is."""

from collections.abc import Sequence
from random import Random
from typing import Protocol

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


def ordered(survivors: Sequence[NodeView], rng: Random | None) -> list[NodeView]:
    """The survivors in the order in which ties are broken: random, or by number."""
    nodes = sorted(survivors, key=lambda node: (node.number, node.name))
    if rng is not None:
        rng.shuffle(nodes)
    return nodes
