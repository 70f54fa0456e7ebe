"""What a stack's document would do, in lines."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kontena_ctl.words import count

# Of the instances of a service, for people.
_MOST_TOLD = 20
_SIGNS = {"create": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red"), "keep": (" ", "dim")}


def lines(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(line, colour) in the order of the deploy."""
    for service in plan["services"]:
        sign, colour = _SIGNS.get(service["action"], ("?", ""))
        yield f"{sign} {service['name']}: {service['action']}{_where(service)}", colour
        for change in service["changes"]:
            yield f"    {change['attribute']}: {_value(change.get('before'))} -> {_value(change.get('after'))}", ""
        if service["action"] != "keep":
            yield from ((f"    {line}", "dim") for line in _rules(service["placements"]))
        reasons = [service.get("reason"), *(one.get("reason") for one in service["placements"])]
        for reason in filter(None, reasons):
            yield f"    {reason}", "red"


def rebalance_lines(services: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What would move of each service, and why no more."""
    found = False
    for service in services:
        found = True
        moves = service["moves"]
        what = f"{count(len(moves), 'instance')} to move" if moves else "nothing to move"
        yield f"{service['service_id']}: {what}"
        for move in moves:
            yield f"    instance {move['instance_number']}: {move['current_node']} -> {move['node']}"
        if service.get("reason"):
            yield f"    {service['reason']}"
    if not found:
        yield "Nothing to move: every service lies evenly on its nodes"


def impossible(plan: Mapping[str, Any]) -> bool:
    """Whether something could not be placed now."""
    return any(one.get("reason") for service in plan["services"] for one in (service, *service["placements"]))


def summary(plan: Mapping[str, Any]) -> str:
    """One line about all of it."""
    counts = {action: sum(one["action"] == action for one in plan["services"]) for action in _SIGNS}
    told = [f"{number} to {action}" for action, number in counts.items() if number]
    return f"{plan['stack_id']} revision {plan['revision']}: {', '.join(told) or 'no services'}"


def _where(service: Mapping[str, Any]) -> str:
    placed = [one["node"] for one in service["placements"] if one.get("node")]
    if not placed or service["action"] in {"keep", "remove"}:
        return ""
    return f", {count(len(placed), 'instance')} on {', '.join(sorted(set(placed)))}"


def _rules(placements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Which rules led to the nodes, for those that have any."""
    told = [one for one in placements if one.get("rules")]
    for one in told[:_MOST_TOLD]:
        yield f"{one['instance_number']} on {one['node']}{_score(one)}: {', '.join(map(_rule, one['rules']))}"
    if len(told) > _MOST_TOLD:
        yield f"and {count(len(told) - _MOST_TOLD, 'instance')} more: -o json tells all"


def _score(placement: Mapping[str, Any]) -> str:
    if "score" not in placement:
        return ""
    most = sum(rule.get("weight", 0) for rule in placement["rules"])
    return f", score {placement['score']:.0f} of {most:.0f}"


def _rule(rule: Mapping[str, Any]) -> str:
    if rule["kind"] == "soft":
        return f"{rule['rule']} {'+' if rule['met'] else 'not met, would be +'}{rule['weight']:.0f}"
    if rule["kind"] == "hard":
        return str(rule["rule"])
    return f"{rule['rule']} had {rule['count']}"


def _value(value: object) -> str:
    import json  # noqa: PLC0415

    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
