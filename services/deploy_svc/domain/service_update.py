"""From checked attributes to the spec to store, and the rules that look at more than one attribute (section 4.5)."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

from services.deploy_svc.domain import service_files
from services.deploy_svc.domain.service_input import ATTRIBUTES, ServiceInput, submitted_instances
from services.deploy_svc.domain.service_spec import ServiceSpec, Strategy
from services.deploy_svc.domain.volume import Mount
from services.deploy_svc.domain.volume_spec import parse_volume

_LONGEST_HOST_NAME = 64
# Has the default of each attribute.
_NOTHING_GIVEN = ServiceSpec(image="", stateful=False)
NO_VOLUMES: Mapping[str, Mount] = MappingProxyType({})


def new_spec(given: ServiceInput) -> ServiceSpec:
    """The spec of a new service: defaults where nothing was given."""
    return ServiceSpec(**{name: ATTRIBUTES[name].merge(None, value) for name, value in given.values.items()})


def merge(current: ServiceSpec, given: ServiceInput, default_affinity: tuple[str, ...] = ()) -> ServiceSpec:
    """`current` with the attributes that were given; equal to it when they change nothing."""
    changes = {name: getattr(_NOTHING_GIVEN, name) for name in given.cleared}
    for name, value in given.values.items():
        changes[name] = ATTRIBUTES[name].merge(getattr(current, name), value)
    if not current.affinity and changes.get("affinity") == default_affinity:
        # The default of the grid, as answers show it, sent back: the service goes on following the grid.
        del changes["affinity"]
    return replace(current, **changes)


def problems(
    spec: ServiceSpec,
    given: ServiceInput,
    current: ServiceSpec | None = None,
    volumes: Mapping[str, Mount] = NO_VOLUMES,
) -> dict[str, Any]:
    """Semantic errors of a spec by attribute; `current` is what it replaces, `volumes` are those that it may mount, by
    name."""
    found: dict[str, Any] = {}
    if spec.strategy not in get_args(Strategy):
        found["strategy"] = f"Strategy {spec.strategy} is not one of {', '.join(get_args(Strategy))}"
    if spec.stateful and spec.volumes_from and (current is None or "volumes_from" in given.values):
        found["volumes_from"] = "Cannot combine stateful and volumes_from"
    if spec.strategy == "daemon":
        found.update(_daemon_problems(spec))
    check = spec.health_check
    if given.values.get("health_check") and check is not None and check.interval < check.timeout:
        found["health_check"] = "Interval must not be shorter than timeout"
    if refused := _volume_problems(given.values.get("volumes", ()), current, volumes):
        found["volumes"] = refused
    if any(name in given.values for name in ("secrets", "configs", "volumes", "tmpfs")):
        found |= service_files.problems(spec)
    if spec.deploy_opts.order == "start_first" and (reasons := one_at_a_time(spec, volumes)):
        found["deploy_opts"] = {"order": f"start_first needs room for two containers of an instance: {reasons}"}
    return found


def _daemon_problems(spec: ServiceSpec) -> dict[str, str]:
    found = {}
    if spec.spread:
        found["spread"] = "A daemon runs on every node, so there is nothing to spread: leave it empty"
    if spec.max_per_node is not None and spec.instances > spec.max_per_node:
        found["max_per_node"] = f"A daemon of {spec.instances} instances has as many on each node: set instances lower"
    return found


def one_at_a_time(spec: ServiceSpec, volumes: Mapping[str, Mount]) -> str:
    """Which attributes let no second container of an instance run beside the first; empty when none does."""
    mounts = [volume for volume in map(parse_volume, spec.volumes) if volume is not None]
    bound = [volumes[volume.name] for volume in mounts if volume.name is not None and volume.name in volumes]
    own = [mount.name for mount in bound if mount.scope == "instance"]
    paths = [volume.bind for volume in mounts if volume.bind and "ro" not in volume.flags.split(",")]
    reasons = [
        ("stateful is set", spec.stateful),
        (f"net is {spec.net}", spec.net != "bridge"),
        (f"ports publishes {', '.join(map(str, sorted(spec.node_ports)))}", spec.node_ports),
        (f"volumes mounts {', '.join(own)}, which belongs to one instance", own),
        (f"volumes mounts {', '.join(paths)} of the node to write (add :ro if it is only read)", paths),
    ]
    return "; ".join(text for text, applies in reasons if applies)


def host_name_problems(given: ServiceInput, name: str, domain: str) -> dict[str, Any]:
    """The names of the instances must fit into a host name."""
    longest = f"{name}-{submitted_instances(given)}.{domain}"
    if len(longest) <= _LONGEST_HOST_NAME:
        return {}
    return {"name": f"Total grid service name length {len(longest)} is over limit ({_LONGEST_HOST_NAME}): {longest}"}


def volume_names(spec: ServiceSpec) -> list[str]:
    """The named volumes of a spec, each once."""
    named = (volume.name for volume in map(parse_volume, spec.volumes) if volume is not None)
    return list(dict.fromkeys(name for name in named if name is not None))


def _volume_problems(given: Iterable[str], current: ServiceSpec | None, known: Container[str]) -> list[str]:
    anonymous = {volume for volume in current.volumes if ":" not in volume} if current else set()
    found = []
    for text in given:
        volume = parse_volume(text)
        if volume is None:
            found.append(f"Volume {text} is not a path, a bind mount or a named volume with a path")
        elif volume.bind is not None and service_files.is_of_agents(volume.bind):
            found.append(f"Volume {text} is a folder of the node's agent: mount another one")
        elif volume.name is not None and volume.name not in known:
            found.append(f"Volume {volume.name} does not exist")
        elif volume.anonymous and current is not None and current.stateful and text not in anonymous:
            found.append(f"Adding the anonymous volume {text} to a stateful service is not supported")
    return found
