"""Health checks. Those of the image are not known here; a check of a service is a command."""

import shlex
from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.compose import scalars
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect
from services.deploy_svc.domain.findings import Place

_DEFAULT_SECONDS = 30

KEYS: Mapping[str, Key] = {
    "test": no_effect("`health_check.cmd`, with the protocol `exec`: text and CMD-SHELL run in /bin/sh, CMD as it is"),
    "interval": no_effect("`health_check.interval`, in whole seconds; 30s as in compose when there is none"),
    "timeout": no_effect("`health_check.timeout`, in whole seconds, at most the interval"),
    "start_period": no_effect("`health_check.initial_delay`, in whole seconds: nothing is tested before"),
    "retries": no_effect("a warning when it is more than 1: the first check that fails restarts the instance"),
    "disable": no_effect("no health check"),
    "start_interval": Key("Checks have one `interval` here: leave it out."),
}


def health_check(place: Place, value: Any, _: Project) -> Attributes:
    """The attribute `health_check`."""
    if not isinstance(value, Mapping):
        place.error("This takes a mapping.")
        return {}
    if value.get("disable") is not None and scalars.boolean(place.at("disable"), value["disable"]):
        return {}
    if "test" not in value:
        place.at("test").error("Say what is tested: the health check of the image is not known here.")
        return {}
    cmd = _command(place.at("test"), value["test"])
    if not cmd:
        return {}
    read = scalars.whole_seconds(1)
    given = {key: value[key] for key in ("interval", "timeout", "start_period") if value.get(key) is not None}
    times = {key: read(place.at(key), item) for key, item in given.items()}
    interval = times.get("interval") or _DEFAULT_SECONDS
    timeout = times.get("timeout") or _DEFAULT_SECONDS
    retries = value.get("retries")
    if retries is not None and (scalars.integer(place.at("retries"), retries) or 0) > 1:
        place.at("retries").warn("The first check that fails restarts the instance: let the command itself try again.")
    check = {"protocol": "exec", "cmd": cmd, "interval": interval, "timeout": min(interval, timeout)}
    return {"health_check": {**check, "initial_delay": times.get("start_period") or 0}}


def _command(place: Place, test: Any) -> list[str]:
    """The words of the command; none when there shall be no check."""
    if isinstance(test, str):
        return ["/bin/sh", "-c", test]
    words = scalars.texts(place, test) if isinstance(test, list) else []
    kind, rest = (words[0], words[1:]) if words else ("", [])
    if kind == "NONE":
        return []
    if kind == "CMD" and rest:
        return rest
    if kind == "CMD-SHELL" and len(rest) == 1:
        return ["/bin/sh", "-c", rest[0]]
    place.error('This takes a text, or a list that begins with "CMD", "CMD-SHELL" or "NONE".')
    return []


def hooks(moment: str) -> Key:
    """Commands at a moment in the life of an instance."""

    def convert(place: Place, value: Any, _: Project) -> Attributes:
        found = []
        for index, item in enumerate(value if isinstance(value, list) else []):
            one = place.at(index)
            if not isinstance(item, Mapping):
                one.error("This takes a mapping with a `command`.")
                continue
            for key in item:
                if key != "command" and not key.startswith("x-"):
                    one.at(key).unsupported("Hooks run as the container does: leave it out.")
            command = item.get("command")
            line = shlex.join(scalars.texts(one, command)) if isinstance(command, list) else command
            if isinstance(line, str) and line.strip():
                found.append({"name": f"{moment}-{index + 1}".replace("_", "-"), "cmd": line, "instances": "*"})
            else:
                one.at("command").error("A hook needs a command.")
        return {"hooks": {moment: found}} if found else {}

    return Key(f"`hooks.{moment}`; of its members `command` only", convert)
