"""Says in numbers why an instance goes to a node: what each rule counts, and what the node has of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from services.deploy_svc.domain.scheduling.affinity_rule import parse
from services.deploy_svc.domain.scheduling.filters.affinity import wants
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement
from services.deploy_svc.domain.scheduling.strategies.base import Strategy

Kind = Literal["hard", "soft", "spread", "limit"]

# A weight doubles with each soft rule that follows, and has to stay a number of JSON.
_MOST_DOUBLINGS = 1000


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that counted for an instance, and what the node that it got has of it.

    Of nodes, those count that meet the `hard` rules; of these, those with the greatest sum of weights of the `soft`
    rules that they meet. A soft rule weighs more than all that follow it together: the order of the rules decides, as
    it does in the affinity filter. Of a `spread`, `count` instances were there before; of a `limit`, on the node.
    """

    kind: Kind
    rule: str
    met: bool = True
    weight: float | None = None
    count: int | None = None


def of_placement(placement: Placement, node: NodeView, strategy: Strategy) -> tuple[Reason, ...]:
    """The rules that led `placement` to `node`, in the order in which they count. The placement is as it was when the
    node was chosen."""
    return (*_affinity(placement, node), *_limit(placement, node), *_spread(placement, node, strategy))


def score(reasons: Sequence[Reason]) -> float:
    """The sum of the weights of the soft rules that the node meets."""
    return sum(reason.weight or 0.0 for reason in reasons if reason.met)


def _affinity(placement: Placement, node: NodeView) -> Iterator[Reason]:
    rules = [parse(text, placement.number) for text in placement.affinity]
    left = sum(rule.soft for rule in rules)
    for rule in rules:
        met = wants(rule, placement, node)
        if not rule.soft:
            yield Reason("hard", rule.text, met)
            continue
        left -= 1
        yield Reason("soft", rule.text, met, weight=2.0 ** min(left, _MOST_DOUBLINGS))


def _limit(placement: Placement, node: NodeView) -> Iterator[Reason]:
    most = placement.service.spec.max_per_node
    if most is not None:
        yield Reason("limit", f"max_per_node {most}", count=placement.load(node))


def _spread(placement: Placement, node: NodeView, strategy: Strategy) -> Iterator[Reason]:
    """Nothing where no node has the label, unless the service names it."""
    found = strategy.spread(placement)
    if found is None:
        return
    values = {found.value(labels) for labels in placement.labels.values()}
    if placement.service.spec.spread or len(values) > 1:
        value = found.value(node.labels)
        yield Reason("spread", f"{found.key}={value}", count=found.loads(placement)[value])
