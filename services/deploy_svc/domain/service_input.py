"""What a client wrote about a service, checked attribute by attribute (spec/deploy_rest.md sections 1.4, 2 and 4.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.deploy_svc.domain import loose_values as loose
from services.deploy_svc.domain import service_elements as elements
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.service_elements import HookInput
from services.deploy_svc.domain.service_spec import Link
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.domain.volume_spec import render_volume
from services.kernel.validation import NAME, Checker, title

# Attributes by name as in the request. A missing one was not given, None means an explicit null.
Attributes = Mapping[str, Any]

MOST_INSTANCES = 10_000
_ENV = re.compile(r"[^=]+=.*", re.DOTALL)
_NET = re.compile(r"bridge|host|container:.+")
_STOP_SIGNAL = re.compile(r"SIG([A-Z0-9]+|RTMIN\+\d+|RTMAX-\d+)|\d+", re.ASCII | re.IGNORECASE)
_HEALTH_NUMBERS = ("timeout", "initial_delay", "interval")
_TEXT_LISTS = ("volumes_from", "cap_add", "cap_drop", "devices", "volumes", "affinity")
_ALIASES = ("instances", "container_count", "replicas")


@dataclass(frozen=True, slots=True)
class ServiceInput:
    """Checked attributes. `plain` holds those that replace what is stored; None means not given, as does a missing key.

    `deploy_opts` and `health_check` hold the members that were given, nulls included; an empty or all-null
    `health_check` means no check.
    """

    name: str | None
    plain: Mapping[str, Any]
    env: tuple[str, ...] | None
    links: tuple[Link, ...] | None
    hooks: tuple[HookInput, ...] | None
    deploy_opts: Mapping[str, Any] | None
    health_check: Mapping[str, Any] | None
    force: bool

    @property
    def vault_names(self) -> VaultNames:
        """What must exist in the vault."""
        return VaultNames(frozenset(self._secrets()), frozenset(self._subjects()))

    def missing(self, known: VaultNames) -> dict[str, Any]:
        """The errors about what is not in the vault, each name once, in the order of the request."""
        secrets = [f"Secret {name} does not exist" for name in self._secrets() if name not in known.secrets]
        subjects = [name for name in self._subjects() if name not in known.certificates]
        certificates = [f"Certificate {subject} does not exist" for subject in subjects]
        return {**({"secrets": secrets} if secrets else {}), **({"certificates": certificates} if certificates else {})}

    def _secrets(self) -> list[str]:
        return list(dict.fromkeys(item.secret for item in self.plain.get("secrets", ())))

    def _subjects(self) -> list[str]:
        return list(dict.fromkeys(item.subject for item in self.plain.get("certificates", ())))


def parse(attributes: Attributes, *, creating: bool, stack: str = NULL_STACK) -> ServiceInput:
    """Check every attribute by itself. Raises ValidationFailed with all errors."""
    check = Checker()
    given = {name: value for name, value in attributes.items() if value is not None}
    if creating:
        _require(check, attributes, "name", "image", "stateful")
        if "stack" in given:
            check.fail("stack", "Stack can't be set here: the service belongs to no stack")
    elif not _names_own_stack(given.get("stack"), stack):
        check.fail("stack", "Stack of a service can't be changed")
    plain = {**_scalars(check, given), **_lists(check, given)}
    if creating and "stateful" in given:
        plain["stateful"] = given["stateful"]
    links = given.get("links")
    hooks = given.get("hooks")
    result = ServiceInput(
        name=check.text("name", given.get("name"), pattern=NAME, longest=64) if creating else None,
        plain={name: value for name, value in plain.items() if value is not None},
        env=None if "env" not in given else tuple(check.texts("env", given["env"], pattern=_ENV, longest=131072)),
        links=None if links is None else elements.links(check, links, stack),
        hooks=None if hooks is None else elements.hooks(check, hooks),
        deploy_opts=_deploy_opts(check, given.get("deploy_opts")),
        health_check=_health_check(check, given.get("health_check")),
        force=bool(given.get("force")),
    )
    check.done()
    return result


def submitted_instances(attributes: ServiceInput) -> int:
    """The number that the check of host name lengths uses."""
    return int(attributes.plain.get("instances", 1))


def _require(check: Checker, attributes: Attributes, *names: str) -> None:
    for name in names:
        if name not in attributes:
            check.fail(name, f"{title(name)} is required")
        elif attributes[name] is None:
            check.fail(name, f"{title(name)} can't be nil")


def _names_own_stack(value: Any, stack: str) -> bool:
    if isinstance(value, dict):
        value = value.get("name")
    return value is None or value == stack


def _scalars(check: Checker, given: Attributes) -> dict[str, Any]:
    alias = next((name for name in _ALIASES if name in given), "instances")
    return {
        "image": check.text("image", given.get("image"), longest=1024),
        "instances": check.number(alias, given.get(alias), smallest=0, biggest=MOST_INSTANCES),
        "strategy": check.text("strategy", given.get("strategy")),
        "user": check.text("user", given.get("user")),
        "cmd": loose.words(check, "cmd", given["cmd"]) if "cmd" in given else None,
        "entrypoint": loose.command_line(check, "entrypoint", given["entrypoint"]) if "entrypoint" in given else None,
        "cpus": loose.fraction(check, "cpus", given.get("cpus")),
        "cpu_shares": check.number("cpu_shares", given.get("cpu_shares"), smallest=0, biggest=1024),
        "memory": loose.whole(check, "memory", given.get("memory")),
        # Engines read -1 as unlimited.
        "memory_swap": loose.whole(check, "memory_swap", given.get("memory_swap"), smallest=-1),
        "shm_size": loose.whole(check, "shm_size", given.get("shm_size")),
        "privileged": given.get("privileged"),
        "read_only": given.get("read_only"),
        "net": check.text("net", given.get("net"), pattern=_NET),
        "log_driver": check.text("log_driver", given.get("log_driver")),
        "log_opts": loose.options(check, "log_opts", given["log_opts"]) if "log_opts" in given else None,
        "pid": check.text("pid", given.get("pid"), options=("host",)),
        "stop_signal": check.text("stop_signal", given.get("stop_signal"), pattern=_STOP_SIGNAL),
        "stop_grace_period": loose.seconds(check, "stop_grace_period", given["stop_grace_period"])
        if "stop_grace_period" in given
        else None,
    }


def _lists(check: Checker, given: Attributes) -> dict[str, Any]:
    lists: dict[str, Any] = {name: tuple(check.texts(name, given[name])) for name in _TEXT_LISTS if name in given}
    if "volumes" in lists:
        lists["volumes"] = tuple(render_volume(volume) for volume in lists["volumes"])
    for name, read in (
        ("ports", elements.ports),
        ("secrets", elements.secrets),
        ("certificates", elements.certificates),
    ):
        if name in given:
            lists[name] = read(check, given[name])
    return lists


def _deploy_opts(check: Checker, given: Attributes | None) -> Mapping[str, Any] | None:
    if given is None:
        return None
    nested = Checker()
    nested.number("wait_for_port", given.get("wait_for_port"), smallest=0, biggest=65535)
    loose.fraction(nested, "min_health", given.get("min_health"), biggest=1.0)
    nested.number("interval", given.get("interval"), smallest=0)
    check.nested("deploy_opts", nested)
    return given


def _health_check(check: Checker, given: Attributes | None) -> Mapping[str, Any] | None:
    if given is None or all(value is None for value in given.values()):
        return None if given is None else {}
    nested = Checker()
    for name in ("port", "protocol"):
        if name not in given:
            nested.fail(name, f"{title(name)} is required")
    nested.number("port", given.get("port"), smallest=1, biggest=65535)
    for name in _HEALTH_NUMBERS:
        nested.number(name, given.get(name), smallest=0)
    texts = {
        "protocol": nested.text("protocol", given.get("protocol"), options=("http", "tcp")),
        "uri": nested.text("uri", given.get("uri")),
    }
    if texts["protocol"] is not None and "port" in given and given["port"] is None:
        nested.fail("port", "Port can't be nil")
    check.nested("health_check", nested)
    return {**given, **texts} if texts["protocol"] is not None else {}
