"""Keys of a service that need more than one reader."""

import re
from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.compose import environment, scalars
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes
from services.deploy_svc.domain.findings import Place

_HOST = re.compile(r"[^:=\s]+")


def command(attribute: str) -> Any:
    """Words, or one text that is split like a shell does."""

    def convert(place: Place, value: Any, _: Project) -> Attributes:
        if isinstance(value, list):
            return {attribute: scalars.texts(place, value)}
        found = scalars.text(place, value)
        return {attribute: found} if found else {}

    return convert


def env(place: Place, value: Any, project: Project) -> Attributes:
    """`env`. A name without a value takes that of the variable of this name."""
    found = []
    for name, given in scalars.pairs(place, value).items():
        content = project.variables.get(name) if given is None else given
        if content is None:
            place.at(name).warn("It has no value, and there is no variable of this name: it is left out.")
        elif not name or "=" in name:
            place.at(name).error("This is no name of a variable.")
        else:
            found.append(f"{name}={content}")
    return {"env": found}


def env_files(place: Place, value: Any, project: Project) -> dict[str, str]:
    """The variables of the files of a service, later files over earlier ones."""
    found: dict[str, str] = {}
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        one = place.at(index) if isinstance(value, list) else place
        options = item if isinstance(item, Mapping) else {"path": item}
        path, needed = options.get("path"), options.get("required", True)
        if not isinstance(path, str):
            one.error("This takes the name of a file.")
            continue
        text = project.file(path)
        if text is not None:
            raw = options.get("format") == "raw"
            values = environment.parse(text, one, None if raw else project.variables.replace)
            named = {name: project.variables.get(name) if given is None else given for name, given in values.items()}
            found |= {name: given for name, given in named.items() if given is not None}
        elif scalars.boolean(one.at("required"), needed):
            one.error(f"The file {path[:200]} was not sent: add it to `files`.")
    return found


def labels(place: Place, value: Any, _: Project) -> Attributes:
    """`labels`."""
    return {"labels": {name: text or "" for name, text in scalars.pairs(place, value).items()}}


def sysctls(place: Place, value: Any, _: Project) -> Attributes:
    """`sysctls`."""
    return {"sysctls": {name: text for name, text in scalars.pairs(place, value).items() if text is not None}}


def extra_hosts(place: Place, value: Any, _: Project) -> Attributes:
    """`extra_hosts`: several addresses of one name are several entries."""
    found = []
    for name, given in value.items() if isinstance(value, Mapping) else ():
        for address in scalars.texts(place.at(name), given):
            if _HOST.fullmatch(name) is None or not address:
                place.at(name).error("This takes a name and an address.")
            else:
                found.append(f"{name}:{address.strip('[]')}")
    return {"extra_hosts": found}


def devices(place: Place, value: Any, _: Project) -> Attributes:
    """`devices`, short and long."""
    found = []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        one = place.at(index)
        if isinstance(item, Mapping):
            parts = [scalars.text(one.at(key), item[key]) or "" for key in ("source", "target") if item.get(key)]
            parts += [str(item["permissions"])] if item.get("permissions") and len(parts) == 2 else []
            found.append(":".join(parts))
        elif text := scalars.text(one, item):
            found.append(text)
    return {"devices": found}


def ulimits(place: Place, value: Any, _: Project) -> Attributes:
    """`ulimits`; -1 is unlimited."""
    found: dict[str, Any] = {}
    for name, given in value.items() if isinstance(value, Mapping) else ():
        one = place.at(name)
        if isinstance(given, Mapping):
            found[name] = {key: _limit(one.at(key), given.get(key)) for key in ("soft", "hard")}
        else:
            found[name] = _limit(one, given)
    return {"ulimits": found}


def _limit(place: Place, given: Any) -> int | None:
    return -1 if str(given) == "-1" else scalars.integer(place, given)


def depends_on(place: Place, value: Any, project: Project) -> Attributes:
    """`links`: the deploy of a stack goes on with a service when those that it links to run."""
    found = []
    for name, given in value.items() if isinstance(value, Mapping) else ():
        one, options = place.at(name), given if isinstance(given, Mapping) else {}
        if name not in project.services:
            _absent(one, name, options, project)
            continue
        if options.get("restart") not in (None, False, "false"):
            one.at("restart").unsupported("Services are restarted by themselves only: leave it out.")
        condition = options.get("condition")
        if condition == "service_completed_successfully":
            one.at("condition").unsupported(
                "Services keep running, none is ever completed: run the command as `pre_start` hook of this service."
            )
        elif condition == "service_healthy":
            one.at("condition").warn(
                f"It starts when the deploy of {name} is done. That does not wait for a health check, but for a port, "
                f"where {name} says so: `x-kontena: {{deploy: {{wait_for_port: PORT}}}}`."
            )
        found.append({"name": name, "alias": name})
    return {"links": found}


def _absent(place: Place, name: str, options: Mapping[str, Any], project: Project) -> None:
    if options.get("required", True) is False:
        return
    if name in project.left_out:
        place.error(f"The service {name} belongs to a profile that is not asked for: name it in `profiles`.")
    else:
        place.error("There is no such service in the file.")


def links(place: Place, value: Any, project: Project) -> Attributes:
    """`links` to services of the file, under their own names."""
    found = []
    for index, item in enumerate(scalars.texts(place, value)):
        name, _, alias = item.partition(":")
        if alias not in ("", name):
            place.at(index).unsupported(f"Services are found by their names, {name[:60]}: aliases are not supported.")
        if name not in project.services:
            place.at(index).error("There is no such service in the file.")
        else:
            found.append({"name": name, "alias": name})
    return {"links": found}


def volumes_from(place: Place, value: Any, project: Project) -> Attributes:
    """`volumes_from`: instance 2 takes those of instance 2."""
    found, linked = [], []
    for index, item in enumerate(scalars.texts(place, value)):
        name, _, mode = item.partition(":")
        if name == "container" or mode not in ("", "rw"):
            place.at(index).unsupported("Volumes are taken from services of the file, to read and write: name one.")
        elif name not in project.services:
            place.at(index).error("There is no such service in the file.")
        else:
            found.append(f"{name}-%s")
            linked.append({"name": name, "alias": name})
    return {"volumes_from": found, "links": linked}


def host_pid(place: Place, value: Any, _: Project) -> Attributes:
    """`pid`."""
    if value == "host":
        return {"pid": "host"}
    place.unsupported("Containers have processes of their own, or see those of the node: use host, or leave it out.")
    return {}


def memory_swap(place: Place, value: Any) -> int | None:
    """Bytes, -1 for unlimited."""
    return -1 if str(value) == "-1" else scalars.size(place, value)
