"""Why a service is not as it shall be: sentences from what the API says. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kontena_ctl.words import count

Doc = Mapping[str, Any]
_WARNING = 2


@dataclass(frozen=True)
class Facts:
    """The documents of the API about one service; `events` are the latest, the oldest first."""

    service: Doc
    instances: Sequence[Doc]
    containers: Sequence[Doc]
    events: Sequence[Doc]
    nodes: Sequence[Doc]


def reasons(facts: Facts) -> list[str]:
    """The plainest first; at least one sentence."""
    service = facts.service
    running, wanted = service["instance_counts"]["running"], service["instances"]
    if service["state"] == "initialized":
        return [f"It was never deployed: kctl deploy {_name(service)}"]
    if service["state"] == "stopped":
        return [f"It was stopped: kctl start {_name(service)}"]
    found = [*_nodes(facts), *_instances(facts), *_containers(facts), *_told(facts)]
    per_node = " on each node" if service["strategy"] == "daemon" else ""
    head = f"{running} run, {count(wanted, 'instance')}{per_node} wanted, revision {service['revision']}"
    if not found:
        return [f"All is as it shall be: {head}."]
    return [f"{head}:", *dict.fromkeys(found)]


def _name(service: Doc) -> str:
    return str(service["id"].partition("/")[2].removeprefix("null/"))


def _nodes(facts: Facts) -> Iterator[str]:
    if not facts.nodes:
        yield "The grid has no nodes: kctl node join"
    elif not any(node["status"] == "online" for node in facts.nodes):
        yield "No node is online: kctl node ls"
    here = {instance["node"]["name"] for instance in facts.instances if instance.get("node")}
    for node in facts.nodes:
        if node["name"] in here and node["status"] not in {"online", "drain"}:
            why = f": {node['connection_error']}" if node.get("connection_error") else ""
            yield f"Node {node['name']} is {node['status']}, what it ran is not known{why}"


def _instances(facts: Facts) -> Iterator[str]:
    missing = facts.service["instances"] - len(facts.instances)
    if missing > 0 and facts.service["strategy"] != "daemon":
        yield f"{count(missing, 'instance')} not placed on any node"
    for one in facts.instances:
        where = f" on node {one['node']['name']}" if one.get("node") else ", which is on no node,"
        if one.get("error"):
            yield f"Instance {one['instance_number']}{where} could not be made as wanted: {one['error']}"
        elif one["state"] != one["desired_state"]:
            yield f"Instance {one['instance_number']}{where} is {one['state']}, wanted {one['desired_state']}"


def _containers(facts: Facts) -> Iterator[str]:
    for one in facts.containers:
        state, name = one.get("state", {}), one["name"]
        if one["status"] == "lost":
            yield f"Container {name} was seen last before its node went away"
        elif state.get("oom_killed"):
            yield f"Container {name} ended for lack of memory; the limit is `memory` of the service"
        elif one["status"] in {"stopped", "dead", "restarting"}:
            ended = f"{one['status']}, exit code {state.get('exit_code')}"
            yield f"Container {name} is {ended}: kctl logs {_name(facts.service)}"
        if one.get("health_status", {}).get("status") == "unhealthy":
            check = facts.service.get("health_check", {})
            yield f"Container {name} does not pass its health check ({check.get('protocol')}, port {check.get('port')})"


def _told(facts: Facts) -> Iterator[str]:
    """Crashes counted, and the last thing that went wrong, unless a deploy has gone well since."""
    after: list[Doc] = []
    for event in facts.events:
        good = event["type"] == "service:deploy" and str(event["message"]).endswith("finished")
        after = [] if good else [*after, event]
    crashes = [event for event in after if event["type"] == "service:instance_crash"]
    if crashes:
        yield f"It ended {count(len(crashes), 'time')} lately and was started again; last: {crashes[-1]['message']}"
    bad = [event for event in after if int(event.get("severity") or 0) >= _WARNING and event not in crashes]
    if bad:
        yield f"Told last ({bad[-1]['created_at']}): {bad[-1]['message']}"
