"""What a client wrote about a service: one row per attribute (docs/spec/deploy_rest.md sections 1.4, 2 and 4.1)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from services.deploy_svc.domain import host_level
from services.deploy_svc.domain import service_elements as elements
from services.deploy_svc.domain import service_files as files
from services.deploy_svc.domain.host_level import HostLevel, never
from services.deploy_svc.domain.readers import (
    Reader,
    absent,
    command_line,
    flag,
    fraction,
    members,
    number,
    options,
    seconds,
    text,
    texts,
    words,
)
from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.service_spec import Link
from services.deploy_svc.domain.vault_names import VaultNames
from services.kernel.validation import NAME, Checker, title

# Attributes by name as in the request. A missing one was not given, None means an explicit null, which says as much.
Attributes = Mapping[str, Any]
# In place of a value: the attribute shall be as if it had never been given.
CLEARED: Final = object()

MOST_INSTANCES = 10_000
# What the name of a container can begin with: that of a stack, or of a service outside any.
CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_NET = re.compile(r"bridge|host|container:.+")
_LABEL = re.compile(r"[^=\s]+")
_PATH = re.compile(r"/.*", re.DOTALL)
_PATH_WITH_OPTIONS = re.compile(r"/[^:]*(:[^:]*)?", re.DOTALL)
_STOP_SIGNAL = re.compile(r"SIG([A-Z0-9]+|RTMIN\+\d+|RTMAX-\d+)|\d+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attribute:
    """How an attribute is read, and by which other names it goes; whether it is required for a new service, and whether
    it is fixed then.

    `host` says which values reach the node. What was read replaces what is stored, unless `merge` makes one of both; it
    gets None when the service is new.
    """

    read: Reader[Any]
    merge: Callable[[Any, Any], Any] = lambda _, given: given
    aliases: tuple[str, ...] = ()
    required: bool = False
    fixed: bool = False
    host: HostLevel = never


def _or_none(read: Reader[str]) -> Reader[str]:
    """A text, or an empty one that takes it back."""
    return lambda check, name, value: "" if value in ("", []) else read(check, name, value)


def _unless_empty(_: Any, given: Any) -> Any:
    return given or None


# The members of ServiceSpec.
ATTRIBUTES: Mapping[str, Attribute] = {
    "image": Attribute(text(longest=1024), required=True),
    "stateful": Attribute(flag, required=True, fixed=True),
    "instances": Attribute(number(0, MOST_INSTANCES), aliases=("container_count", "replicas")),
    "strategy": Attribute(text()),
    "user": Attribute(_or_none(text()), _unless_empty),
    "cmd": Attribute(words),
    "entrypoint": Attribute(_or_none(command_line), _unless_empty),
    "env": Attribute(elements.env, elements.merge_env),
    "secrets": Attribute(files.secrets),
    "certificates": Attribute(elements.certificates),
    "ports": Attribute(elements.ports),
    "links": Attribute(elements.links),
    "affinity": Attribute(texts()),
    "spread": Attribute(_or_none(text(pattern=_LABEL, longest=255)), _unless_empty),
    "max_per_node": Attribute(number(0, MOST_INSTANCES), _unless_empty),
    "deploy_opts": Attribute(elements.deploy_opts, elements.merge_deploy_opts),
    "volumes": Attribute(elements.volumes, host=host_level.binds),
    "volumes_from": Attribute(texts(), host=host_level.anything),
    "cpus": Attribute(fraction()),
    "cpu_shares": Attribute(number(0, 1024)),
    "memory": Attribute(number()),
    # Engines read -1 as unlimited.
    "memory_swap": Attribute(number(-1)),
    "shm_size": Attribute(number()),
    "privileged": Attribute(flag, host=host_level.flag),
    "cap_add": Attribute(texts(), host=host_level.capabilities),
    "cap_drop": Attribute(texts()),
    "net": Attribute(text(pattern=_NET), host=host_level.network),
    "log_driver": Attribute(_or_none(text()), _unless_empty),
    "log_opts": Attribute(options, host=host_level.log_options),
    "devices": Attribute(texts(), host=host_level.anything),
    "pid": Attribute(_or_none(text(options=("host",))), _unless_empty, host=host_level.anything),
    "read_only": Attribute(flag),
    "hooks": Attribute(elements.hooks, elements.merge_hooks),
    "health_check": Attribute(elements.health_check, elements.merge_health_check),
    "stop_signal": Attribute(_or_none(text(pattern=_STOP_SIGNAL)), _unless_empty),
    "stop_grace_period": Attribute(seconds),
    "ulimits": Attribute(elements.ulimits),
    "labels": Attribute(elements.labels),
    "tmpfs": Attribute(texts(pattern=_PATH_WITH_OPTIONS)),
    "sysctls": Attribute(options),
    "init": Attribute(flag),
    "extra_hosts": Attribute(texts(problem=elements.host_problem)),
    "dns_servers": Attribute(elements.dns_servers, aliases=("dns",)),
    "working_dir": Attribute(_or_none(text(pattern=_PATH)), _unless_empty),
    "group_add": Attribute(texts()),
    "configs": Attribute(files.configs),
}


@dataclass(frozen=True, slots=True)
class ServiceInput:
    """Checked attributes: `values` holds what was read of those that were given, `cleared` names those that shall be as
    if they had never been."""

    name: str | None
    values: Mapping[str, Any]
    force: bool
    cleared: frozenset[str] = frozenset()

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that were given."""
        return tuple(self.values.get("links", ()))

    @property
    def vault_names(self) -> VaultNames:
        """What must exist in the grid."""
        return VaultNames(frozenset(self._secrets()), frozenset(self._subjects()), frozenset(self._configs()))

    def missing(self, known: VaultNames) -> dict[str, Any]:
        """The errors about what the grid does not have, each name once, in the order of the request."""
        secrets = [f"Secret {name} does not exist" for name in self._secrets() if name not in known.secrets]
        subjects = [name for name in self._subjects() if name not in known.certificates]
        certificates = [f"Certificate {subject} does not exist" for subject in subjects]
        configs = [f"Config {name} does not exist" for name in self._configs() if name not in known.configs]
        found = {"secrets": secrets, "certificates": certificates, "configs": configs}
        return {attribute: texts for attribute, texts in found.items() if texts}

    def _secrets(self) -> list[str]:
        return list(dict.fromkeys(item.secret for item in self.values.get("secrets", ())))

    def _configs(self) -> list[str]:
        return list(dict.fromkeys(item.config for item in self.values.get("configs", ())))

    def _subjects(self) -> list[str]:
        return list(dict.fromkeys(item.subject for item in self.values.get("certificates", ())))


def parse(attributes: Attributes, *, creating: bool, stack: str = NULL_STACK) -> ServiceInput:
    """Check every attribute by itself; what is no attribute is ignored. Raises ValidationFailed with all errors."""
    check = Checker()
    called = text(pattern=CONTAINER_NAME if stack == NULL_STACK else NAME, longest=64)
    name_given = members(check, attributes, {"name": called}) if creating else {}
    if creating and attributes.get("stack") is not None:
        check.fail("stack", "Stack can't be set here: the service belongs to no stack")
    elif not creating and not _names_own_stack(attributes.get("stack"), stack):
        check.fail("stack", "Stack of a service can't be changed")
    values: dict[str, Any] = {}
    cleared = set[str]()
    for name, attribute in ATTRIBUTES.items():
        key = next((key for key in (name, *attribute.aliases) if attributes.get(key) is not None), None)
        if key is None and creating and attribute.required:
            absent(check, attributes, name)
        elif key is None or (attribute.fixed and not creating):
            continue
        elif attributes[key] is not CLEARED:
            values[name] = attribute.read(check, key, attributes[key])
        elif attribute.required:
            check.fail(key, f"{title(key)} can't be nil")
        else:
            cleared.add(name)
    check.done()
    values = {name: value for name, value in values.items() if value is not None}
    if "links" in values:
        values["links"] = tuple(replace(link, stack=link.stack or stack) for link in values["links"])
    return ServiceInput(name_given.get("name"), values, attributes.get("force") is True, frozenset(cleared))


def submitted_instances(attributes: ServiceInput) -> int:
    """The number that the check of host name lengths uses."""
    return int(attributes.values.get("instances", 1))


def _names_own_stack(value: Any, stack: str) -> bool:
    if isinstance(value, dict):
        value = value.get("name")
    return value is None or value is CLEARED or value == stack
