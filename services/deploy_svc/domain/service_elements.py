"""Attributes with parts: how each is read, and how what is read goes together with what is stored."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Any, get_args

from services.deploy_svc.domain import readers
from services.deploy_svc.domain.service_spec import (
    CertificateRef,
    DeployOpts,
    HealthCheck,
    Hook,
    HookType,
    Link,
    Order,
    Port,
    Ulimit,
)
from services.deploy_svc.domain.volume_spec import render_volume
from services.kernel.validation import Checker, title

_HOOK_TYPES: tuple[HookType, ...] = get_args(HookType)
_VARIABLE = re.compile(r"[^=]+=.*", re.DOTALL)
_ADDED = re.compile(r"[^=]+(=.*)?", re.DOTALL)
_LONGEST_VARIABLE = 131072
_PORT = readers.number(1, 65535)
_NUMBER = readers.number(biggest=2**31 - 1)
_TEXT = readers.text()
_VARIABLE_NAME = readers.text(pattern=re.compile(r"[^=]+"))
# The `type` in answers of ours is ignored.
certificates = readers.objects(CertificateRef, {"subject": _TEXT, "name": _VARIABLE_NAME})


def volumes(check: Checker, name: str, value: Any) -> tuple[str, ...]:
    """Volume strings as they are stored."""
    return tuple(render_volume(volume) for volume in readers.texts()(check, name, value) or ())


def is_address(value: str) -> bool:
    """Whether it is an address of IPv4 or IPv6."""
    try:
        ip_address(value)
    except ValueError:
        return False
    # Engines take no zone.
    return "%" not in value


# Ports.


def _address(check: Checker, name: str, value: Any) -> str | None:
    found = _TEXT(check, name, value)
    if found is not None and not is_address(found):
        check.fail(name, f"{title(name)} isn't an address of IPv4 or IPv6")
    return found


_ports = readers.objects(
    Port,
    {"node_port": readers.number(0, 65535), "container_port": _PORT},
    {"ip": _address, "protocol": readers.text(options=("tcp", "udp", "sctp"))},
)


def ports(check: Checker, name: str, value: Any) -> tuple[Port, ...] | None:
    """Published ports, each port of the node once."""
    found = _ports(check, name, value)
    taken: defaultdict[tuple[int, str, int], set[Any]] = defaultdict(set)
    wrong: list[dict[str, str] | None] = []
    for port in found or ():
        address = ip_address(port.ip)
        any_address, others = type(address)(0), taken[port.node_port, port.protocol, address.version]
        twice = address in others or any_address in others or (bool(others) and address == any_address)
        others.add(address)
        # 0 is any port that is free.
        said = f"Node Port {port.node_port}/{port.protocol} is published twice"
        wrong.append({"node_port": said} if twice and port.node_port else None)
    if any(wrong):
        check.fail(name, wrong)
    return found


# Environment.

env = readers.texts(pattern=_VARIABLE, longest=_LONGEST_VARIABLE, exact=True)


def added_variable(check: Checker, name: str, value: Any) -> str | None:
    """One variable as it is, with or without a value."""
    found = readers.texts(pattern=_ADDED, longest=_LONGEST_VARIABLE, exact=True)(one := Checker(), name, [value])
    for problems in one.errors.values():
        check.fail(name, problems[0].replace("[0]", ""))
    return found[0] if found else None


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
    required, oneshot = {"name": _TEXT, "cmd": readers.exact_text}, {"oneshot": readers.flag}
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
    "parallelism": readers.number(1, 100),
    "order": readers.text(options=get_args(Order)),
}
_HEALTH_CHECK: Mapping[str, readers.Reader[Any]] = {
    "protocol": readers.text(options=("http", "tcp", "exec")),
    "port": _PORT,
    "uri": _TEXT,
    "timeout": _NUMBER,
    "initial_delay": _NUMBER,
    "interval": _NUMBER,
    "cmd": readers.words,
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
    if all(value is None or value == [] for value in given.values()):
        return {}
    nested = Checker()
    found = readers.members(nested, given, {}, _HEALTH_CHECK)
    needed = "cmd" if found.get("protocol") == "exec" else "port"
    for required in (needed, "protocol"):
        if required not in given:
            nested.fail(required, f"{title(required)} is required")
    if found.get("protocol") and not found.get(needed):
        nested.fail(needed, f"{title(needed)} can't be nil")
    if found.get("cmd") and found.get("protocol") in ("http", "tcp"):
        nested.fail("cmd", "Cmd is for the protocol exec")
    check.nested(name, nested)
    return found if found.get("protocol") else {}


def merge_health_check(current: HealthCheck | None, given: Mapping[str, Any]) -> HealthCheck | None:
    """The check as it was given, with defaults for what was left out; only its path stays as it is."""
    if not given:
        return None
    if given["protocol"] == "exec":
        return HealthCheck(**{**given, "port": None, "uri": None})
    return HealthCheck(**{"uri": (current and current.uri) or "/", **given})


# Attributes that stack files write in more than one way.

_ULIMITS = frozenset((
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
))  # fmt: skip
_LIMIT = readers.number(-1)
_RESERVED = "io.kontena."


def ulimits(check: Checker, name: str, value: Any) -> tuple[Ulimit, ...] | None:
    """An object of numbers or of soft and hard limits by name, or the list that answers show."""
    if isinstance(value, dict):
        value = [
            {"name": key, **(item if isinstance(item, dict) else {"soft": item, "hard": item})}
            for key, item in value.items()
        ]
    known = readers.text(options=_ULIMITS)
    found = readers.objects(Ulimit, {"name": known, "soft": _LIMIT, "hard": _LIMIT})(check, name, value)
    for limit in found or ():
        if limit.hard != -1 and not -1 < limit.soft <= limit.hard:
            check.fail(name, f"The soft limit of {limit.name} is above the hard one")
    if len({limit.name for limit in found or ()}) < len(found or ()):
        check.fail(name, "A limit is given twice")
    return found


def labels(check: Checker, name: str, value: Any) -> dict[str, str] | None:
    """Labels of the user; ours cannot be among them."""
    found = readers.options(check, name, value)
    wrong = {
        key: f"Labels that begin with {_RESERVED} can't be set" for key in found or () if key.startswith(_RESERVED)
    }
    if wrong:
        check.fail(name, wrong)
    return found


def host_problem(value: str) -> str | None:
    """What is wrong with an entry for the hosts file."""
    host, _, address = value.partition(":")
    return None if host and (address == "host-gateway" or is_address(address)) else "isn't name:address"


def dns_servers(check: Checker, name: str, value: Any) -> tuple[str, ...] | None:
    """Addresses, or one address. Other text is the name of the service as answers show it under `dns`: not given."""
    if isinstance(value, str):
        return (value,) if is_address(value) else None
    return readers.texts(problem=lambda item: None if is_address(item) else "isn't an address")(check, name, value)
