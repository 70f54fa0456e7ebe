"""How many instances of a service may be in transition at once."""

import math

from services.deploy_svc.domain.rollout.draft import Draft

MOST_IN_FLIGHT = 20
# What one step writes is bounded.
MOST_NEW_IN_FLIGHT = 100
_DEFAULT_MIN_HEALTH = 0.8


def in_flight_limit(total: int, min_health: float | None) -> int:
    """How many instances may be in transition at once. The order of the floating point operations is part of it."""
    health = _DEFAULT_MIN_HEALTH if min_health is None else min_health
    return max(1, min(math.floor(total * (1.0 - health)), MOST_IN_FLIGHT))


def has_room(draft: Draft, number: int, total: int) -> bool:
    """Whether the instance may begin. New ones take nothing away that runs, so they begin all at once, unless the
    order of their starts matters: they have data, or post_start hooks, and nobody said how many may begin. Those that
    start beside what they replace take nothing away either, so as many begin as somebody said."""
    spec = draft.service.spec
    most = spec.deploy_opts.parallelism
    ordered = most is None and (spec.stateful or any(hook.type == "post_start" for hook in spec.hooks))
    ongoing = [item for item, rollout in draft.rollouts.items() if rollout.state == "ongoing"]
    if len(ongoing) >= (most or MOST_NEW_IN_FLIGHT):
        return False
    if not ordered and _is_new(draft, number):
        return True
    beside = most is not None and spec.deploy_opts.order == "start_first"
    missed = [item for item in ongoing if ordered or not (_is_new(draft, item) or (beside and _stays(draft, item)))]
    return len(missed) < in_flight_limit(total, spec.deploy_opts.min_health)


def _stays(draft: Draft, number: int) -> bool:
    """Whether an instance that is under way is replaced on its node: one that moves stops first."""
    instance = draft.instances.get(number)
    return instance is not None and instance.node_id == draft.rollouts[number].node_id


def _is_new(draft: Draft, number: int) -> bool:
    """Whether nothing of the instance is known to run, so that nobody misses it while it starts."""
    instance = draft.instances.get(number)
    return instance is None or instance.node_id is None or instance.container_id is None
