"""Attributes with parts: how each is read, and how what is read goes together with what is stored."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from services.deploy_svc.domain import readers
from services.deploy_svc.domain.service_spec import (
    CertificateRef,
    DeployOpts,
    HealthCheck,
    Hook,
    HookType,
    Link,
    Port,
    SecretRef,
)
from services.deploy_svc.domain.volume_spec import render_volume
from services.kernel.validation import Checker, title

_HOOK_TYPES: tuple[HookType, ...] = get_args(HookType)
_VARIABLE = re.compile(r"[^=]+=.*", re.DOTALL)
_PORT = readers.number(1, 65535)
_NUMBER = readers.number(biggest=2**31 - 1)
_TEXT = readers.text()

ports = readers.objects(
    Port,
    {"node_port": readers.number(0, 65535), "container_port": _PORT},
    {"ip": _TEXT, "protocol": _TEXT},
)
# The `type` in answers of ours is ignored.
secrets = readers.objects(SecretRef, {"secret": _TEXT, "name": _TEXT})
certificates = readers.objects(CertificateRef, {"subject": _TEXT, "name": _TEXT})


def volumes(check: Checker, name: str, value: Any) -> tuple[str, ...]:
    """Volume strings as they are stored."""
    return tuple(render_volume(volume) for volume in readers.texts()(check, name, value) or ())


# Environment.

env = readers.texts(pattern=_VARIABLE, longest=131072)


def merge_env(current: tuple[str, ...] | None, given: tuple[str, ...]) -> tuple[str, ...]:
    """The given variables, each key once; one without a value keeps the value it has. A new service gets all."""
    if current is None:
        return given
    known = _variables(current)
    merged = {key: value or known.get(key, "") for key, value in _variables(given).items()}
    return current if merged == known and list(merged) == list(known) else tuple(f"{k}={v}" for k, v in merged.items())


def _variables(variables: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (item.partition("=") for item in variables)}


# Links.

# To be replaced by the stack of the service.
OWN_STACK = ""


def _link(name: str, alias: str, **answer: str) -> Link:
    """A name without a stack means the own one, unless the id of an answer of ours says which."""
    *rest, service = name.split("/")
    path = answer.get("id", "").split("/")
    if not rest and len(path) == 3 and path[2] == service:
        return Link(path[1], service, alias)
    return Link(rest[-1] if rest else OWN_STACK, service, alias)


links = readers.objects(_link, {"name": _TEXT, "alias": _TEXT}, {"id": _TEXT})


# Hooks.


@dataclass(frozen=True, slots=True)
class HookInput:
    """A hook as a client wrote it; `instances` is None when an answer of ours was sent back, which does not show it."""

    type: HookType
    name: str
    cmd: str
    instances: str | None = None
    oneshot: bool = False


def hooks(check: Checker, name: str, value: Any) -> tuple[HookInput, ...] | None:
    """Hooks as an object of lists by type, or as the list that answers show."""
    required, oneshot = {"name": _TEXT, "cmd": _TEXT}, {"oneshot": readers.flag}
    if not isinstance(value, dict):
        shown = {"type": readers.text(options=_HOOK_TYPES), **required}
        return readers.objects(HookInput, shown, {"instances": _hook_instances, **oneshot})(check, name, value)
    required["instances"] = _hook_instances
    nested = Checker()
    found: list[HookInput] = []
    for kind in _HOOK_TYPES:
        if value.get(kind) is not None:
            found += readers.objects(partial(HookInput, kind), required, oneshot)(nested, kind, value[kind]) or ()
    check.nested(name, nested)
    return tuple(found)


def merge_hooks(current: tuple[Hook, ...] | None, given: tuple[HookInput, ...]) -> tuple[Hook, ...]:
    """The given hooks; those that do not say on which instances they run go on with what is stored of them."""
    known = {(hook.type, hook.name): hook.instances for hook in current or ()}
    return tuple(
        Hook(hook.type, hook.name, hook.cmd, hook.instances or known.get((hook.type, hook.name), "*"), hook.oneshot)
        for hook in given
    )


def _hook_instances(check: Checker, name: str, value: Any) -> str | None:
    found = _TEXT(check, name, value)
    return None if found is None else ",".join(part.strip() for part in found.split(","))


# Objects of which members may be left out.

_DEPLOY_OPTS: Mapping[str, readers.Reader[Any]] = {
    "wait_for_port": readers.number(0, 65535),
    "min_health": readers.fraction(1.0),
    "interval": _NUMBER,
    "rollback": readers.flag,
}
_HEALTH_CHECK: Mapping[str, readers.Reader[Any]] = {
    "protocol": readers.text(options=("http", "tcp")),
    "port": _PORT,
    "uri": _TEXT,
    "timeout": _NUMBER,
    "initial_delay": _NUMBER,
    "interval": _NUMBER,
}


def deploy_opts(check: Checker, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; null is kept, as it clears what is stored."""
    nested = Checker()
    found = readers.members(nested, given, {}, _DEPLOY_OPTS)
    check.nested(name, nested)
    return {**{option: None for option in _DEPLOY_OPTS if option in given}, **found}


def merge_deploy_opts(current: DeployOpts | None, given: Mapping[str, Any]) -> DeployOpts:
    """The stored options with those that were given."""
    return replace(current or DeployOpts(), **given)


def health_check(check: Checker, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were given; none when there shall be no check: an empty object, or one without a protocol."""
    if all(value is None for value in given.values()):
        return {}
    nested = Checker()
    found = readers.members(nested, given, {}, _HEALTH_CHECK)
    for required in ("port", "protocol"):
        if required not in given:
            nested.fail(required, f"{title(required)} is required")
    if "protocol" in found and "port" not in found:
        nested.fail("port", "Port can't be nil")
    check.nested(name, nested)
    return found if "protocol" in found else {}


def merge_health_check(current: HealthCheck | None, given: Mapping[str, Any]) -> HealthCheck | None:
    """The check as it was given, with defaults for what was left out; only its path stays as it is."""
    if not given:
        return None
    return HealthCheck(**{"uri": (current and current.uri) or "/", **given})
