"""Secrets and configs as files: how a service says where they are in its containers."""

import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from services.deploy_svc.domain import readers
from services.deploy_svc.domain.service_spec import ConfigRef, FileRef, SecretRef, ServiceSpec
from services.deploy_svc.domain.volume_spec import parse_volume
from services.kernel.validation import Checker, title

T = TypeVar("T")

MOST_FILES = 64
SECRETS_FOLDER = "/run/secrets"
# Where agents keep files on their nodes: nobody else mounts that.
NODE_FOLDERS = ("/run/kontena", "/var/run/kontena")
_DEFAULT_MODE = "0444"
_LONGEST_PATH = 4096
_MODE = re.compile(r"0?o?[0-7]{3,4}", re.ASCII)
# The engine lets nothing be mounted in there.
_OF_THE_KERNEL = ("/proc", "/sys", "/dev")
_TEXT = readers.text()
_VARIABLE_NAME = readers.text(pattern=re.compile(r"[^=]+"))
_ID = readers.number(0, 2**31 - 2)


def _path(check: Checker, name: str, value: Any) -> str | None:
    found = readers.scalar_text(value)
    if found is None or not _is_path(found):
        check.fail(name, f"{title(name)} isn't an absolute path of a file in the container, written without . and ..")
        return None
    if any(found == folder or found.startswith(f"{folder}/") for folder in _OF_THE_KERNEL):
        check.fail(name, f"{title(name)} {found} is where the kernel has its own files: choose another one")
        return None
    return found


def _is_path(text: str) -> bool:
    # Engines take a comma or colon in some places for more than a part of the path.
    return (
        text.startswith("/")
        and text != "/"
        and posixpath.normpath(text) == text
        and not text.startswith("//")
        and len(text.encode()) <= _LONGEST_PATH
        and text.isprintable()
        and not set(text) & set(":,")
    )


def _mode(check: Checker, name: str, value: Any) -> str | None:
    found = readers.text(pattern=_MODE)(check, name, value)
    if found is None:
        return None
    number = int(found.replace("o", ""), 8)
    if number > 0o777:
        check.fail(name, f"{title(name)} {found} has more than permissions: at most 0777")
    return f"{number:04o}"


_FILE: Mapping[str, readers.Reader[Any]] = {"path": _path, "mode": _mode, "uid": _ID, "gid": _ID}
_TYPE = {"type": readers.text(options=("env", "file"))}
_RAW: readers.Reader[tuple[dict[str, Any], ...]] = readers.objects(
    dict, {}, dict.fromkeys(("secret", "config", "name", "type", *_FILE), lambda _, __, member: member)
)


def secrets(check: Checker, name: str, value: Any) -> tuple[SecretRef, ...] | None:
    """Secrets as variables, and as files where their `type` says so."""
    return _objects(check, name, value, _secret)


def configs(check: Checker, name: str, value: Any) -> tuple[ConfigRef, ...] | None:
    """Configs, which are files always."""
    return _objects(check, name, value, _config)


def _objects(
    check: Checker, name: str, value: Any, read: Callable[[Checker, Mapping[str, Any]], T | None]
) -> tuple[T, ...] | None:
    raw = _RAW(check, name, value)
    if raw is None:
        return None
    checks = [Checker() for _ in raw]
    found = [read(one, item) for one, item in zip(checks, raw, strict=True)]
    check.elements(name, checks)
    return None if any(one.errors for one in checks) else tuple(item for item in found if item is not None)


def _secret(check: Checker, item: Mapping[str, Any]) -> SecretRef | None:
    if readers.members(check, item, {}, _TYPE).get("type") != "file":
        found = readers.members(check, item, {"secret": _TEXT, "name": _VARIABLE_NAME})
        if given := [member for member in _FILE if item.get(member) is not None]:
            check.fail(given[0], f"{title(given[0])} is for the type file")
        return None if check.errors else SecretRef(**found)
    found = readers.members(check, item, {"secret": _TEXT}, _FILE)
    if check.errors:
        return None
    return SecretRef(**{"name": found["secret"], **_defaults(f"{SECRETS_FOLDER}/{found['secret']}"), **found})


def _config(check: Checker, item: Mapping[str, Any]) -> ConfigRef | None:
    found = readers.members(check, item, {"config": _TEXT}, _FILE)
    if check.errors:
        return None
    return ConfigRef(**{**_defaults(f"/{found['config']}"), **found})


def _defaults(path: str) -> dict[str, str]:
    return {"path": path, "mode": _DEFAULT_MODE}


def files(spec: ServiceSpec) -> dict[str, list[FileRef]]:
    """The files of a service by the attribute that says them."""
    return {"secrets": [item for item in spec.secrets if item.is_file], "configs": list(spec.configs)}


def problems(spec: ServiceSpec) -> dict[str, Any]:
    """Paths that are used twice, and more files than a container may have, by attribute."""
    found: dict[str, Any] = {}
    volumes = {volume.path for volume in map(parse_volume, spec.volumes) if volume is not None}
    taken = volumes | {text.partition(":")[0] for text in spec.tmpfs}
    count = 0
    for attribute, refs in files(spec).items():
        wrong = []
        for ref in refs:
            if ref.path in taken or _holds(ref.path, taken):
                wrong.append(f"Path {ref.path} is used twice")
            taken.add(ref.path)
        count += len(refs)
        if count > MOST_FILES:
            wrong.append(f"At most {MOST_FILES} files are mounted into a container")
        if wrong:
            found[attribute] = wrong
    return found


def _holds(path: str, taken: Collection[str]) -> bool:
    """Whether something is to be mounted below the file."""
    return any(other.startswith(f"{path}/") for other in taken)


def is_of_agents(path: str) -> bool:
    """Whether a path of the node is in the folder of agents."""
    real = posixpath.normpath("/" + path.lstrip("/"))
    return any(real == folder or real.startswith(f"{folder}/") for folder in NODE_FOLDERS)
