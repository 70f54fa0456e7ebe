"""From checked attributes to the spec to store, and the rules that look at more than one attribute (section 4.5)."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any, get_args

from services.deploy_svc.domain.service_elements import HookInput
from services.deploy_svc.domain.service_input import ServiceInput, submitted_instances
from services.deploy_svc.domain.service_spec import DeployOpts, HealthCheck, Hook, ServiceSpec, Strategy
from services.deploy_svc.domain.volume_spec import parse_volume

_LONGEST_HOST_NAME = 64
_HEALTH_DEFAULTS = ("timeout", "initial_delay", "interval")


def new_spec(given: ServiceInput) -> ServiceSpec:
    """The spec of a new service: defaults where nothing was given."""
    return ServiceSpec(
        **given.plain,
        env=given.env or (),
        links=given.links or (),
        hooks=_hooks((), given.hooks or ()),
        deploy_opts=replace(DeployOpts(), **(given.deploy_opts or {})),
        health_check=_health_check(None, given.health_check or {}),
    )


def merge(current: ServiceSpec, given: ServiceInput, default_affinity: tuple[str, ...] = ()) -> ServiceSpec:
    """`current` with the attributes that were given; equal to it when they change nothing."""
    changes: dict[str, Any] = dict(given.plain)
    if not current.affinity and changes.get("affinity") == default_affinity:
        # The default of the grid, as answers show it, sent back: the service goes on following the grid.
        del changes["affinity"]
    if given.env is not None:
        changes["env"] = merge_env(current.env, given.env)
    if given.links is not None:
        changes["links"] = given.links
    if given.hooks is not None:
        changes["hooks"] = _hooks(current.hooks, given.hooks)
    if given.deploy_opts is not None:
        changes["deploy_opts"] = replace(current.deploy_opts, **given.deploy_opts)
    if given.health_check is not None:
        changes["health_check"] = _health_check(current.health_check, given.health_check)
    return replace(current, **changes)


def merge_env(current: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """The given variables, each key once; one without a value keeps the value it has."""
    known = _variables(current)
    merged = {key: value or known.get(key, "") for key, value in _variables(given).items()}
    return current if merged == known and list(merged) == list(known) else tuple(f"{k}={v}" for k, v in merged.items())


def problems(
    spec: ServiceSpec, given: ServiceInput, current: ServiceSpec | None = None, volumes: Container[str] = ()
) -> dict[str, Any]:
    """Semantic errors of a spec by attribute; `current` is what it replaces, `volumes` are the names it may mount."""
    found: dict[str, Any] = {}
    if spec.strategy not in get_args(Strategy):
        found["strategy"] = f"Strategy {spec.strategy} is not one of {', '.join(get_args(Strategy))}"
    if spec.stateful and spec.volumes_from and (current is None or "volumes_from" in given.plain):
        found["volumes_from"] = "Cannot combine stateful and volumes_from"
    check = spec.health_check
    if given.health_check and check is not None and check.interval < check.timeout:
        found["health_check"] = "Interval must not be shorter than timeout"
    if refused := _volume_problems(given.plain.get("volumes", ()), current, volumes):
        found["volumes"] = refused
    return found


def host_name_problems(given: ServiceInput, name: str, domain: str) -> dict[str, Any]:
    """The names of the instances must fit into a host name."""
    longest = f"{name}-{submitted_instances(given)}.{domain}"
    if len(longest) <= _LONGEST_HOST_NAME:
        return {}
    return {"name": f"Total grid service name length {len(longest)} is over limit ({_LONGEST_HOST_NAME}): {longest}"}


def _variables(env: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (item.partition("=") for item in env)}


def _hooks(current: tuple[Hook, ...], given: tuple[HookInput, ...]) -> tuple[Hook, ...]:
    known = {(hook.type, hook.name): hook for hook in current}
    return tuple(hook.merged(known.get((hook.type, hook.name))) for hook in given)


def _health_check(current: HealthCheck | None, given: Mapping[str, Any]) -> HealthCheck | None:
    if not given:
        return None
    numbers = {name: given[name] for name in _HEALTH_DEFAULTS if given.get(name) is not None}
    uri = given.get("uri") or (current.uri if current else None) or "/"
    return HealthCheck(protocol=given["protocol"], port=given["port"], uri=uri, **numbers)


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
        elif volume.name is not None and volume.name not in known:
            found.append(f"Volume {volume.name} does not exist")
        elif volume.anonymous and current is not None and current.stateful and text not in anonymous:
            found.append(f"Adding the anonymous volume {text} to a stateful service is not supported")
    return found
