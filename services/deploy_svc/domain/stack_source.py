"""Files that describe a stack, and what they become."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.deploy_svc.domain import service_input, service_update, stack_input
from services.deploy_svc.domain.findings import Findings, Place
from services.deploy_svc.domain.volume import Mount
from services.kernel.errors import ValidationFailed

MOST_FILES, MOST_BYTES = 50, 512 * 1024
MOST_VARIABLES = 500
COMPOSE, KONTENA = "compose", "kontena"
# Comments between the files that a stack keeps in one text.
_MERGED, _BESIDE = "#@ merged file ", "#@ file "
_HEAD = re.compile(rf"^({_MERGED}|{_BESIDE})(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """What a client sends: texts of files by name. `order` names those that are merged, `grid` is for templates. `kept`
    are values of a stack that exists: they count where neither the request nor the file .env has one."""

    files: Mapping[str, str]
    order: Sequence[str] = ()
    name: str = ""
    grid: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    profiles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """The document of a stack as clients send it. `volumes` and `configs` of the grid and `secrets` of the vault are
    needed first, and so are the stacks of `dependencies`. A secret with a value, or a config with a content, is one
    that the files write."""

    kind: str
    document: dict[str, Any]
    volumes: Sequence[Mapping[str, Any]] = ()
    secrets: Sequence[Mapping[str, Any]] = ()
    dependencies: Sequence[dict[str, Any]] = ()
    configs: Sequence[Mapping[str, Any]] = ()


def pack(files: Mapping[str, str], order: Sequence[str]) -> str:
    """The text that a stack keeps: that of the only file as it is, or all of them, first those that are merged."""
    names = [*order, *sorted(name for name in files if name not in order)]
    if len(names) == 1:
        return files[names[0]]
    marks = {name: _MERGED if name in order else _BESIDE for name in names}
    return "".join(f"{mark}{name}\n{files[name].rstrip()}\n" for name, mark in marks.items())


def unpack(source: str, default: str) -> tuple[dict[str, str], list[str]]:
    """The files that a stack keeps, and which of them are merged; a text without names is the file `default`."""
    heads = list(_HEAD.finditer(source))
    if not source.startswith(_MERGED):
        return {default: source}, [default]
    ends = [*(head.start() for head in heads[1:]), len(source)]
    files = {head[2]: source[head.end() + 1 : end] for head, end in zip(heads, ends, strict=True)}
    return files, [head[2] for head in heads if head[1] == _MERGED]


def used_secrets(services: Sequence[Mapping[str, Any]]) -> list[str]:
    """The secrets that services map, each once."""
    mapped = [one.get("secrets") for one in services]
    items = [item for given in mapped if isinstance(given, list) for item in given if isinstance(item, Mapping)]
    return list(dict.fromkeys(name for item in items if isinstance(name := item.get("secret"), str) and name))


def checked(made: Converted, findings: Findings) -> Converted | None:
    """What was made, when clients may send it like that; what would be refused is told where it stands."""
    if findings.errors:
        return None
    try:
        given = stack_input.parse(made.document, creating=True)
        stack_input.arranged(given.document, given.name)
        if problems := stack_input.problems(given):
            raise ValidationFailed(problems)
    except ValidationFailed as error:
        _tell(Place(findings), error)
        return None
    scopes = {volume["name"]: volume["scope"] for volume in made.volumes if "scope" in volume}
    mounts = {
        name: Mount(name, "", volume, scopes.get(volume, "grid"), "local")
        for name, volume in given.document.volumes.items()
    }
    for service in given.document.services:
        place = Place(findings, f"services.{service['name']}")
        try:
            one = service_input.parse(service, creating=True, stack=given.name)
            if problems := service_update.problems(service_update.new_spec(one), one, None, mounts):
                raise ValidationFailed(problems)
        except ValidationFailed as error:
            _tell(place, error)
    return None if findings.errors else made


def _tell(place: Place, error: ValidationFailed) -> None:
    for path, message in error.violations().items():
        Place(place.findings, f"{place.path}.{path}" if place.path else path).error(message)
