"""Keeps nodes that the affinity rules want; each rule narrows what the ones before it left."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.affinity_rule import InvalidRule, Rule, names_instances, parse
from services.deploy_svc.domain.scheduling.explain import CannotPlace, Refusal
from services.deploy_svc.domain.scheduling.filters.base import Verdict
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement, Recorded


class Affinity:
    """A soft rule that would leave no node is ignored; a hard one empties the list."""

    name = "affinity"
    alone = False

    def varies(self, placement: Placement) -> bool:
        return any("%" in rule for rule in placement.affinity) or names_instances(placement.affinity)

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        kept = tuple(nodes)
        refused: list[Refusal] = []
        for text in placement.affinity:
            try:
                rule = parse(text, placement.number)
            except InvalidRule as error:
                raise CannotPlace(placement.path, str(error), refused) from None
            passing = tuple(node for node in kept if wants(rule, placement, node))
            if not passing and rule.soft:
                continue
            ids = {node.id for node in passing}
            dropped = tuple(node.name for node in kept if node.id not in ids)
            if dropped:
                refused.append(Refusal(self.name, f"rule {rule.text}", dropped))
            kept = passing
            if not kept:
                break
        return Verdict(kept, tuple(refused))


def wants(rule: Rule, placement: Placement, node: NodeView) -> bool:
    """Whether the node meets the rule."""
    return _matches(rule, placement, node) != rule.negated


def _matches(rule: Rule, placement: Placement, node: NodeView) -> bool:
    match rule.key:
        case "node":
            return rule.matches((node.name,))
        case "label":
            return rule.matches(node.labels)
        case "container":
            return rule.matches({item.container for item in _others(placement, node) if item.container})
        case "service":
            return _service_matches(rule, placement, {item.service for item in _others(placement, node)})


def _others(placement: Placement, node: NodeView) -> list[Recorded]:
    """What is on the node but this very instance: otherwise `service!=web` would chase web around at each deploy."""
    own = (placement.service.id, placement.number)
    return [item for item in node.recorded if (item.service_id, item.instance_number) != own]


def _service_matches(rule: Rule, placement: Placement, names: set[str]) -> bool:
    """Values without a slash mean services of the own stack; so do regexes that do not name a slash themselves."""
    stack = placement.service.stack
    if rule.pattern is not None:
        if "/" in rule.pattern.pattern:
            return rule.matches(names)
        return rule.matches(name.partition("/")[2] for name in names if name.partition("/")[0] == stack)
    value = rule.value if "/" in rule.value else f"{stack}/{rule.value}"
    return value in names
