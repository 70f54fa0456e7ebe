"""The section `deploy` of a service: how many, where, with how much, and how they are replaced."""

import math
import re
from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.compose import scalars
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect, value
from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.rollout.in_flight import in_flight_limit

_CONSTRAINT = re.compile(r"\s*([\w.\-/]+)\s*(==|!=)\s*(\S+)\s*", re.ASCII)
_LABELS = "node.labels."
_MOST_AT_ONCE = 100


def instances(place: Place, given: Any) -> int | None:
    """How many instances there are."""
    return scalars.integer(place, given)


def _mode(place: Place, given: Any, _: Project) -> Attributes:
    if given in ("global", "replicated"):
        return {"strategy": "daemon"} if given == "global" else {}
    place.unsupported(
        "Jobs are not supported, services keep running: use replicated (any nodes) or global (each node)."
    )
    return {}


def _constraints(place: Place, given: Any, _: Project) -> Attributes:
    rules = []
    for index, item in enumerate(given if isinstance(given, list) else []):
        match = _CONSTRAINT.fullmatch(item) if isinstance(item, str) else None
        key, operator, wanted = match.groups() if match else ("", "", "")
        if key == "node.hostname":
            rules.append(f"node{operator}{wanted}")
        elif key.startswith(_LABELS):
            rules.append(f"label{operator}{key.removeprefix(_LABELS)}={wanted}")
        elif (key, operator, wanted) not in (("node.platform.os", "==", "linux"), ("node.role", "==", "worker")):
            place.at(index).unsupported("Nodes are chosen by node.labels.NAME and node.hostname, with == or !=.")
    return {"affinity": rules}


def _preferences(place: Place, given: Any, _: Project) -> Attributes:
    attributes: Attributes = {}
    for index, item in enumerate(given if isinstance(given, list) else []):
        label = str(item.get("spread")) if isinstance(item, dict) and len(item) == 1 else ""
        if not label.startswith(_LABELS) or label == _LABELS:
            place.at(index).unsupported("Instances are spread over the values of a label: `spread: node.labels.NAME`.")
        elif attributes:
            place.at(index).unsupported("Instances are spread over one label: leave all but the first out.")
        else:
            attributes["spread"] = label.removeprefix(_LABELS)
    return attributes


def _only(allowed: Any, message: str) -> Key:
    """A key of which one value changes nothing, and any other one is not supported."""

    def convert(place: Place, given: Any, _: Project) -> Attributes:
        if str(given).lower() not in allowed:
            place.unsupported(message)
        return {}

    return Key(f"nothing, for {' or '.join(allowed)}. {message}", convert)


def _parallelism(place: Place, given: Any, _: Project) -> Attributes:
    found = scalars.integer(place, given)
    # 0 is all at once.
    return {} if found is None else {"deploy_opts": {"parallelism": min(found or _MOST_AT_ONCE, _MOST_AT_ONCE)}}


def _failure_action(place: Place, given: Any, _: Project) -> Attributes:
    if given not in ("pause", "rollback"):
        place.unsupported("A deploy that fails stops, or goes back: use pause or rollback.")
    return {"deploy_opts": {"rollback": True}} if given == "rollback" else {}


def _reservation(limit: str) -> Key:
    message = f"The scheduler reserves what the limit says: write `limits.{limit}`."

    def convert(place: Place, _: Any, __: Project) -> Attributes:
        place.warn(message)
        return {}

    return Key(f"a warning. {message}", convert)


def _restart(place: Place, given: Any, _: Project) -> Attributes:
    if given not in ("any", "always", "unless-stopped"):
        place.unsupported("Services keep running: instances that end are started again, whatever their exit code.")
    return {}


def _order(place: Place, given: Any, _: Project) -> Attributes:
    if given not in ("start-first", "stop-first"):
        place.error("This takes start-first or stop-first.")
        return {}
    return {"deploy_opts": {"order": "start_first"}} if given == "start-first" else {}


_NO_DELAY = _only(("0", "0s"), "Steps of a deploy follow one another when the one before is done.")
_RATIO = _only(("0", "0.0"), "A deploy fails with the first instance that does.")
_UPDATE: Mapping[str, Key] = {
    "parallelism": Key(
        "`deploy_opts.parallelism` and `min_health`, so that as many are replaced at once", _parallelism
    ),
    "failure_action": Key("`deploy_opts.rollback` for rollback; pause is the default", _failure_action),
    "order": Key("`deploy_opts.order`", _order),
    "delay": _NO_DELAY,
    "max_failure_ratio": _RATIO,
    "monitor": Key("An instance has to stay up for a moment, or answer on `deploy_opts.wait_for_port`: leave it out."),
}
_AS_UPDATE = "nothing: going back follows the rules of the update"
_ROLLBACK: Mapping[str, Key] = {
    **_UPDATE,
    "parallelism": no_effect(_AS_UPDATE),
    "order": no_effect(_AS_UPDATE),
    "failure_action": _only(("pause",), "A deploy that goes back and fails stops."),
}

restart = Key("nothing: instances are always started again; `no` and `on-failure` are not supported", _restart)
KEYS: Mapping[str, Key] = {
    "mode": Key("`strategy`: daemon for global", _mode),
    "replicas": value("instances", instances),
    "endpoint_mode": _only(("dnsrr",), "The name of a service leads to its instances: use dnsrr."),
    "labels": Key("Containers have `labels`, services have none: move them to the `labels` of the service."),
    "resources": Key("", members={
        "limits": Key("", members={
            "cpus": value("cpus", scalars.number),
            "memory": value("memory", scalars.size),
            "pids": Key("The number of processes cannot be limited per container: use `ulimits.nproc`."),
        }),
        "reservations": Key("", members={
            "cpus": _reservation("cpus"),
            "memory": _reservation("memory"),
            "generic_resources": Key("Choose nodes by a label: `placement.constraints`."),
            "devices": Key("Name `devices` of the node, and choose nodes by a label: `placement.constraints`."),
        }),
    }),
    "update_config": Key("", members=_UPDATE),
    "rollback_config": Key("", members=_ROLLBACK),
    "placement": Key("", members={
        "constraints": Key("`affinity`: node.hostname, node.labels.NAME, with == or !=", _constraints),
        "preferences": Key("`spread`, for one preference `spread: node.labels.NAME`", _preferences),
        "max_replicas_per_node": value("max_per_node", scalars.integer),
    }),
    "restart_policy": Key("", members={
        "condition": restart,
        "delay": Key("Instances that end again and again wait longer each time: leave it out."),
        "max_attempts": Key("Services keep running, however often they have to be started: leave it out."),
        "window": Key("An instance has to stay up for a moment by itself: leave it out."),
    }),
}  # fmt: skip


def with_min_health(service: Attributes) -> None:
    """Let as many instances be replaced at once as the file says: the default would stop every fifth one at most."""
    options = service.get("deploy_opts", {})
    if (at_once := options.get("parallelism")) is None or "min_health" in options:
        return
    total = service.get("instances") or 1
    share = 0.0 if at_once >= total else math.floor((total - at_once) / total * 10_000) / 10_000
    if share and in_flight_limit(total, share) < at_once:
        # The product of two fractions may fall below a whole number.
        share = round(share - 0.0001, 4)
    service["deploy_opts"] = {**options, "min_health": share}
