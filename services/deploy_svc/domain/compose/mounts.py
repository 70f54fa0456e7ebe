"""Volumes of a service: named ones of the project, paths of the node, anonymous ones, and file systems in memory."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.deploy_svc.domain.compose import scalars
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, combine
from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text

_FLAGS = frozenset({"ro", "rw", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate"})
_IGNORED = frozenset({"cached", "delegated", "consistent"})
_RELATIVE = (
    "Paths of a machine where the file is are not those of the nodes: copy the files into the image, or use a named "
    "volume, or an absolute path that the nodes have."
)


def volumes(place: Place, value: Any, project: Project) -> Attributes:
    """The attributes `volumes` and `tmpfs`. With data of its own, the service is `stateful`."""
    found: Attributes = {}
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        one = place.at(index)
        combine(found, _long(one, item, project) if isinstance(item, Mapping) else _short(one, item, project))
    return found


def _short(place: Place, given: Any, project: Project) -> Attributes:
    parts = (scalar_text(given) or "").split(":")
    if len(parts) == 1:
        return _mount(place, "", parts[0], (), project)
    if len(parts) > 3:
        place.error("This takes source:path or source:path:flags.")
        return {}
    flags = [flag for part in parts[2:] for flag in part.split(",") if flag and flag not in _IGNORED]
    for flag in flags:
        if flag not in _FLAGS:
            place.error(f"{flag[:60]} is no flag of a volume: {', '.join(sorted(_FLAGS))}.")
    return _mount(place, parts[0], parts[1], flags, project)


def _long(place: Place, given: Mapping[str, Any], project: Project) -> Attributes:
    kind, target = given.get("type"), scalar_text(given.get("target", "")) or ""
    if kind == "tmpfs":
        return _tmpfs(place, target, given.get("tmpfs"))
    if kind not in ("bind", "volume"):
        place.unsupported(f"Mounts of the type {str(kind)[:60]} are not supported: use volume, bind or tmpfs.")
        return {}
    source = scalar_text(given.get("source", "")) or ""
    if kind == "bind" and not source:
        place.error("A mount of the type bind needs a `source`.")
        return {}
    if kind == "bind" and not source.startswith("/"):
        place.at("source").unsupported(_RELATIVE)
        return {}
    return _mount(place, source, target, list(_long_flags(place, given)), project)


def _long_flags(place: Place, given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("read_only") is not None and scalars.boolean(place.at("read_only"), given["read_only"]):
        yield "ro"
    for group in ("bind", "volume", "tmpfs", "image"):
        options = given.get(group)
        for key, item in options.items() if isinstance(options, Mapping) else ():
            one = place.at(group).at(key)
            if key == "nocopy":
                if scalars.boolean(one, item):
                    yield "nocopy"
            elif key in ("propagation", "selinux"):
                yield scalars.text(one, item) or ""
            elif key != "create_host_path" and not key.startswith("x-"):
                one.unsupported("Mounts have no such option here: leave it out.")


def _mount(place: Place, source: str, target: str, flags: Any, project: Project) -> Attributes:
    if not target.startswith("/"):
        place.error("The path in the container begins with a slash.")
        return {}
    if source.startswith("/"):
        return {"volumes": [":".join(filter(None, (source, target, ",".join(flags))))]}
    if source.startswith((".", "~")) or "/" in source or "\\" in source:
        place.unsupported(_RELATIVE)
        return {}
    if not source:
        return {"volumes": [":".join(filter(None, (target, ",".join(flags))))], "stateful": True}
    if source not in project.members("volumes"):
        place.error(f"There is no volume {source[:60]}: declare it under the top-level `volumes`.")
        return {}
    return {"volumes": [":".join(filter(None, (source, target, ",".join(flags))))], "stateful": True}


def _tmpfs(place: Place, target: str, options: Any) -> Attributes:
    if not target.startswith("/"):
        place.at("target").error("The path in the container begins with a slash.")
        return {}
    found = []
    for key, item in options.items() if isinstance(options, Mapping) else ():
        one = place.at("tmpfs").at(key)
        if key == "size" and (limit := scalars.size(one, item)) is not None:
            found.append(f"size={limit}")
        elif key == "mode" and (mode := scalars.integer(one, item)) is not None:
            found.append(f"mode={mode:o}")
    return {"tmpfs": [":".join(filter(None, (target, ",".join(found))))]}
