"""What every step of every rollout must respect, written down without the code of the engine."""

import re
from datetime import datetime
from math import floor

from services.deploy_svc.domain.rollout_plan import (
    Keep,
    Limits,
    MarkInstance,
    Place,
    Plan,
    Run,
    Snapshot,
    Start,
    StopOnOldNode,
)
from services.deploy_svc.domain.scheduling.snapshot import NodeView


def check(snapshot: Snapshot, plan: Plan, now: datetime, limits: Limits) -> None:
    """Fails with the law that the plan breaks."""
    if not snapshot.deploys:
        assert plan.actions == ()
        return
    _a_service_that_shall_not_run_gets_nothing(snapshot, plan)
    _instances_go_only_where_they_may(snapshot, plan)
    _an_instance_leaves_a_node_before_it_starts_elsewhere(snapshot, plan, now, limits)
    _only_what_runs_well_is_a_success(snapshot, plan)
    _only_a_scaling_leaves_instances_alone(snapshot, plan)
    _not_too_many_are_in_transition(snapshot, plan)
    _each_node_keeps_its_own_of_a_daemon(snapshot, plan)


def _a_service_that_shall_not_run_gets_nothing(snapshot: Snapshot, plan: Plan) -> None:
    if snapshot.service.state != "running":
        assert not any(isinstance(action, Start | Place | Run | StopOnOldNode) for action in plan.actions)


def _instances_go_only_where_they_may(snapshot: Snapshot, plan: Plan) -> None:
    nodes = {node.id: node for node in snapshot.nodes}
    gone = {number for action in plan.actions if isinstance(action, Start) for number in action.surplus}
    there = {item.instance_number: {item.node_id} for item in snapshot.instances if item.instance_number not in gone}
    for rollout in snapshot.deploys[0].instance_deploys:
        if rollout.state == "ongoing":
            there.setdefault(rollout.instance_number, set()).add(rollout.node_id)
    for action in plan.actions:
        if isinstance(action, Place):
            beside = [number for number, homes in there.items() if action.node_id in homes]
            beside = [number for number in beside if number != action.instance_number]
            problem = refused(snapshot, nodes[action.node_id], action.instance_number, beside)
            assert problem is None, f"instance {action.instance_number} on {action.node}: {problem}"
            there.setdefault(action.instance_number, set()).add(action.node_id)


def refused(snapshot: Snapshot, node: NodeView, number: int, beside: list[int]) -> str | None:
    """Why the instance may not be placed on the node, where the instances `beside` of the service are already."""
    service = snapshot.service
    if not node.connected:
        return "the node is not connected"
    if node.availability != "active":
        return "the node takes nothing"
    ports = {port.node_port for port in service.spec.ports}
    taken = {port for item in node.recorded for port in item.node_ports}
    if ports and (beside or ports & taken):
        return "a node port is taken"
    if service.spec.max_per_node is not None and len(beside) >= service.spec.max_per_node:
        return "it has as many as it may"
    names = {item.service for item in node.recorded} | ({f"{service.stack}/{service.name}"} if beside else set())
    broken = [rule for rule in snapshot.affinity if not _kept(rule, number, node, names)]
    return f"rules {broken}" if broken else None


def _kept(rule: str, number: int, node: NodeView, services: set[str]) -> bool:
    found = re.fullmatch(r"(node|label|service)(==|!=)(~?)(.+)", rule.replace("%s", str(number)))
    if found is None:
        return False
    key, comparator, soft, value = found.groups()
    if soft:
        return True
    seen = {"node": {node.name}, "label": set(node.labels), "service": services}[key]
    if key == "service":
        value = f"stack/{value}"
    matches = any(re.search(value.strip("/"), name) for name in seen) if value.startswith("/") else value in seen
    return matches == (comparator == "==")


def _an_instance_leaves_a_node_before_it_starts_elsewhere(
    snapshot: Snapshot, plan: Plan, now: datetime, limits: Limits
) -> None:
    homes = {item.instance_number: item for item in snapshot.instances}
    nodes = {node.id: node for node in snapshot.nodes}
    begun = {item.instance_number: item.started_at for item in snapshot.deploys[0].instance_deploys}
    for action in plan.actions:
        before = homes.get(action.instance_number) if isinstance(action, Run) else None
        if not isinstance(action, Run) or before is None or before.node_id in {None, action.node_id}:
            continue
        old = nodes.get(before.node_id or "")
        stopped = before.rev is not None and before.rev >= action.deploy_rev
        waited = (now - begun.get(action.instance_number, now)).total_seconds() >= limits.instance
        assert stopped or waited or old is None or not old.connected, "an instance runs on two nodes"


def _only_what_runs_well_is_a_success(snapshot: Snapshot, plan: Plan) -> None:
    instances = {item.instance_number: item for item in snapshot.instances}
    targets = {item.instance_number: item.node_id for item in snapshot.deploys[0].instance_deploys}
    for action in plan.actions:
        if isinstance(action, MarkInstance) and action.state == "success":
            found = instances[action.instance_number]
            facts = (found.node_id, found.rev, found.state, found.error)
            wanted = (targets[action.instance_number], snapshot.deploys[0].deploy_rev, "running", None)
            assert facts == wanted, "a success that was not one"


def _only_a_scaling_leaves_instances_alone(snapshot: Snapshot, plan: Plan) -> None:
    """And only those that run as they would if it touched them."""
    instances = {item.instance_number: item for item in snapshot.instances}
    gone = {number for action in plan.actions if isinstance(action, Start) for number in action.surplus}
    nodes = {node.id: node for node in snapshot.nodes}
    for action in plan.actions:
        if isinstance(action, Keep):
            found = instances[action.instance_number]
            assert snapshot.deploys[0].asked.origin == "scale"
            assert found.node_id == action.node_id
            assert (found.desired_state, found.state, found.error or None) == ("running", "running", None)
            assert found.rev == found.deploy_rev is not None
            assert found.service_revision == snapshot.service.revision
            homes = {number: item.node_id for number, item in instances.items() if number not in gone}
            beside = [n for n, home in homes.items() if home == found.node_id and n != action.instance_number]
            problem = refused(snapshot, nodes[action.node_id], action.instance_number, beside)
            assert problem is None, f"instance {action.instance_number} stays on {action.node}: {problem}"
            touched = Place | Run | StopOnOldNode
            others = [item.instance_number for item in plan.actions if isinstance(item, touched)]
            assert action.instance_number not in others, "what stays is touched all the same"


def _not_too_many_are_in_transition(snapshot: Snapshot, plan: Plan) -> None:
    deploy = snapshot.deploys[0]
    begin = next((action for action in plan.actions if isinstance(action, Start)), None)
    total = begin.total if begin is not None else (deploy.total or 0)
    health = snapshot.service.spec.deploy_opts.min_health
    of = total if deploy.moves is None else len(snapshot.instances)
    most = max(1, min(floor(of * (1.0 - (0.8 if health is None else health))), 20))
    settled = {action.instance_number for action in plan.actions if isinstance(action, MarkInstance)}
    ongoing = {item.instance_number for item in deploy.instance_deploys if item.state == "ongoing"} - settled
    targets = {item.instance_number: item.node_id for item in deploy.instance_deploys}
    targets |= {action.instance_number: action.node_id for action in plan.actions if isinstance(action, Place)}
    placed = {action.instance_number for action in plan.actions if isinstance(action, Place)}
    parallelism = snapshot.service.spec.deploy_opts.parallelism
    assert not placed or len(ongoing | placed) <= (parallelism or 100), "too much at once"
    # Nobody misses an instance that was nowhere, or one that runs on until its successor on its node is ready and of
    # which somebody said how many may begin; where the order matters, each counts.
    spec, known = snapshot.service.spec, {item.instance_number: item for item in snapshot.instances}
    ordered = not parallelism and (spec.stateful or any(hook.type == "post_start" for hook in spec.hooks))
    beside = bool(parallelism) and spec.deploy_opts.order == "start_first"
    missed = {
        number
        for number in ongoing | placed
        if ordered
        or (
            number in known
            and known[number].node_id
            and known[number].container_id
            and not (beside and known[number].node_id == targets[number])
        )
    }
    assert not placed & missed or len(missed) <= most, "too many instances in transition"
    wanted = set(deploy.moves) if deploy.moves is not None else _wanted(snapshot, begin, total)
    assert placed <= wanted, "more than wanted"


def _wanted(snapshot: Snapshot, begin: Start | None, total: int) -> set[int]:
    """The numbers of a deploy: those that are there, or were begun, and the lowest free ones."""
    known = {item.instance_number for item in snapshot.instances}
    known |= {item.instance_number for item in snapshot.deploys[0].instance_deploys}
    known -= set(begin.surplus) if begin is not None else set()
    most = total + len(known)
    return known | set([number for number in range(1, most + 1) if number not in known][: max(0, total - len(known))])


def _each_node_keeps_its_own_of_a_daemon(snapshot: Snapshot, plan: Plan) -> None:
    """Whatever becomes of other nodes."""
    spec, nodes = snapshot.service.spec, {node.id: node for node in snapshot.nodes}
    # Soft rules may prefer other nodes.
    if spec.strategy != "daemon" or any("~" in rule for rule in snapshot.affinity):
        return
    gone = {number for action in plan.actions if isinstance(action, Start) for number in action.surplus}
    for instance in snapshot.instances:
        home, number = nodes.get(instance.node_id or ""), instance.instance_number
        if number in gone and home is not None:
            stay = [item.instance_number for item in snapshot.instances if item.node_id == home.id]
            lower = [other for other in stay if other < number and other not in gone]
            problem = refused(snapshot, home, number, lower)
            assert problem or len(lower) >= spec.instances, f"instance {number} leaves {home.name} for no reason"
