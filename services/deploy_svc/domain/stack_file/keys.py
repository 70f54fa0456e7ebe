"""What becomes of each key of a stack file."""

from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.compose import scalars
from services.deploy_svc.domain.compose import service_parts as parts
from services.deploy_svc.domain.compose.keys import SERVICE as COMPOSE
from services.deploy_svc.domain.compose.ports import ports
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect, value
from services.deploy_svc.domain.findings import Place

Read = Callable[[Place, Any], Any]


def _as_it_is(attribute: str) -> Key:
    """A key that is an attribute, or becomes one of another name, in any words that the attribute takes."""
    return value(attribute, lambda _, given: given)


def _members(read: Mapping[str, Read]) -> Read:
    """A mapping with these members."""

    def found(place: Place, given: Any) -> dict[str, Any] | None:
        if not isinstance(given, Mapping):
            place.error(f"This takes a mapping with {', '.join(read)}.")
            return None
        made = {}
        for name, item in given.items():
            if name not in read:
                place.at(name).unsupported(f"This takes {', '.join(read)}.")
            elif item is not None:
                made[name] = read[name](place.at(name), item)
        return {name: item for name, item in made.items() if item is not None}

    return found


def _each(read: Read) -> Read:
    """A list of such."""

    def found(place: Place, given: Any) -> list[Any] | None:
        if not isinstance(given, list):
            place.error("This takes a list.")
            return None
        items = [read(place.at(index), item) for index, item in enumerate(given)]
        return [item for item in items if item is not None]

    return found


def _interval(place: Place, given: Any) -> int | None:
    """Seconds, or a duration."""
    return given if isinstance(given, int) and given >= 0 else scalars.whole_seconds()(place, given)


_ROLLOUT: Mapping[str, Read] = {
    "wait_for_port": scalars.integer,
    "min_health": scalars.number,
    "interval": _interval,
    "rollback": scalars.boolean,
    "parallelism": scalars.integer,
    "order": scalars.text,
}
_deploy_members = _members({"strategy": scalars.text, "instances": scalars.integer, **_ROLLOUT})
_health_check = _members({
    "protocol": scalars.text, "uri": scalars.text, "port": scalars.integer, "timeout": scalars.integer,
    "initial_delay": scalars.integer, "interval": scalars.integer, "cmd": scalars.texts,
})  # fmt: skip


def _deploy(place: Place, given: Any, _: Project) -> Attributes:
    options = _deploy_members(place, given) or {}
    found: Attributes = {name: options.pop(name) for name in ("strategy", "instances") if name in options}
    return {**found, **({"deploy_opts": options} if options else {})}


def _links(place: Place, given: Any, _: Project) -> Attributes:
    found = []
    for text in scalars.texts(place, given):
        name, _colon, alias = text.partition(":")
        found.append({"name": name, "alias": alias or name.rpartition("/")[2]})
    return {"links": found}


def _depends_on(place: Place, given: Any, _: Project) -> Attributes:
    return {"links": [{"name": name, "alias": name} for name in scalars.texts(place, given)]}


_BOOLEANS = ("stateful", "privileged", "read_only", "init")
_TEXTS = ("image", "user", "pid", "net", "log_driver", "stop_signal", "working_dir", "strategy", "spread")
_LISTS = (
    "affinity", "cap_add", "cap_drop", "devices", "volumes", "volumes_from", "tmpfs", "extra_hosts", "group_add",
)  # fmt: skip
_SAME = ("entrypoint", "hooks", "stop_grace_period", "ulimits", "labels", "sysctls", "log_opts")
_FILE = {"path": scalars.text, "mode": scalars.permissions, "uid": scalars.integer, "gid": scalars.integer}
SERVICE: Mapping[str, Key] = {
    **{name: value(name, scalars.boolean) for name in _BOOLEANS},
    **{name: value(name, scalars.text) for name in _TEXTS},
    **{name: value(name, scalars.texts) for name in _LISTS},
    **{name: _as_it_is(name) for name in _SAME},
    "secrets": value("secrets", _each(_members({**dict.fromkeys(("secret", "name", "type"), scalars.text), **_FILE}))),
    "configs": value("configs", _each(_members({"config": scalars.text, **_FILE}))),
    "certificates": value("certificates", _each(_members(dict.fromkeys(("subject", "name", "type"), scalars.text)))),
    "health_check": value("health_check", _health_check),
    "shm_size": value("shm_size", scalars.size),
    "build": COMPOSE["build"],
    "instances": value("instances", scalars.integer),
    "max_per_node": value("max_per_node", scalars.integer),
    "cpus": value("cpus", scalars.number),
    "cpu_shares": value("cpu_shares", scalars.integer),
    "command": Key("`cmd`", parts.command("cmd")),
    "cmd": Key("`cmd`", parts.command("cmd")),
    "environment": Key("`env`", parts.env),
    "env_file": COMPOSE["env_file"],
    "ports": Key("`ports`", ports),
    "links": Key("`links`: service, or stack/service, with an alias", _links),
    "external_links": Key("`links`", _links),
    "depends_on": Key("`links`", _depends_on),
    "deploy": Key("`strategy`, `instances`, `deploy_opts`", _deploy),
    "network_mode": value("net", scalars.text),
    "mem_limit": value("memory", scalars.size),
    "memory": value("memory", scalars.size),
    "memswap_limit": value("memory_swap", parts.memory_swap),
    "log_opt": _as_it_is("log_opts"),
    "logging": COMPOSE["logging"],
    "dns": value("dns_servers", scalars.texts),
    "extends": no_effect("the service together with the one it extends"),
    "only_if": no_effect("whether the service is there"),
    "skip_if": no_effect("whether the service is there"),
    "volume_driver": Key("Declare a volume of the grid with this driver, and name it under `volumes`."),
    "hostname": COMPOSE["hostname"],
}

TOP: Mapping[str, Key] = {
    "stack": no_effect("`stack`; its last part is the name, unless the request has one"),
    "version": no_effect("`version`"),
    "description": no_effect("nothing"),
    "name": no_effect("nothing"),
    "registry": no_effect("`registry`"),
    "expose": no_effect("`expose`"),
    "variables": no_effect("values for `${NAME}` and templates"),
    "services": no_effect("services of the stack"),
    "volumes": no_effect("volumes of the grid, which have to exist"),
    "depends": no_effect("`dependencies`: stacks with this one as parent; their files are sent along"),
    "meta": no_effect("`metadata`"),
    "labels": no_effect("`labels`"),
    "networks": Key("A grid has one network: leave it out."),
    "extends": Key("Services extend services: `services.NAME.extends`."),
}
