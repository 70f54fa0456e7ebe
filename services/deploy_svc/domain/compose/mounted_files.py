"""Secrets and configs of compose files: files in containers, from the vault and the configs of the grid."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.deploy_svc.domain import grid_config
from services.deploy_svc.domain.compose import scalars
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect
from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text
from services.deploy_svc.domain.service_files import SECRETS_FOLDER
from services.kernel.validation import NAME

_LABELS = Key("They have no labels: leave it out.")
_DRIVERS = Key("Use `external` for one that exists, or give the content.")
_COMMON: Mapping[str, Key] = {
    "name": no_effect("its name in the grid"),
    "external": no_effect("one of the grid that exists"),
    "file": no_effect("the content, from a file that is sent with the others"),
    "environment": no_effect("the content, from a variable"),
    "labels": _LABELS, "template_driver": _DRIVERS,
}  # fmt: skip
SECRET: Mapping[str, Key] = {**_COMMON, "driver": _DRIVERS, "driver_opts": _DRIVERS}
CONFIG: Mapping[str, Key] = {**_COMMON, "content": no_effect("the content")}


def secrets(place: Place, value: Any, project: Project) -> Attributes:
    """The attribute `secrets`: files of the vault."""
    files = _files(place, value, "secrets", project, SECRETS_FOLDER)
    return {"secrets": [{"secret": name, "type": "file", **file} for name, file in files]}


def configs(place: Place, value: Any, project: Project) -> Attributes:
    """The attribute `configs`: files of configs of the grid."""
    return {"configs": [{"config": name, **file} for name, file in _files(place, value, "configs", project, "")]}


def _files(place: Place, value: Any, kind: str, project: Project, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name in the grid, where the file is) of each."""
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        one = place.at(index)
        given = item if isinstance(item, Mapping) else {"source": item}
        source = scalar_text(given.get("source", "")) or ""
        if source not in project.members(kind):
            one.error(f"There is no {source[:60]} in `{kind}` of the top level.")
            continue
        target = scalar_text(given.get("target", "")) or source
        file: dict[str, Any] = {"path": target if target.startswith("/") else f"{folder}/{target}"}
        for member in ("uid", "gid"):
            if given.get(member) is not None:
                file[member] = scalars.integer(one.at(member), given[member])
        if given.get("mode") is not None:
            file["mode"] = scalars.permissions(one.at("mode"), given["mode"])
        yield name_of(kind, source, project), file


def name_of(kind: str, key: str, project: Project) -> str:
    """What a secret or config is called in the grid: by the project, unless it is external or has a name."""
    given = project.members(kind)[key] or {}
    if called := scalar_text(given.get("name", "")):
        return called
    return key if _external(given) else f"{project.name}-{key}"


def _external(given: Mapping[str, Any]) -> bool:
    return given.get("external") not in (None, False, "false")


def needed_secrets(project: Project, used: list[str]) -> list[dict[str, str]]:
    """What has to be in the vault: those that services use, with the values that the files say."""
    place = Place(project.findings, "secrets")
    contents = {}
    for key in project.members("secrets"):
        name = name_of("secrets", key, project)
        if NAME.fullmatch(name) is None:
            place.at(key).error("Names of secrets have letters, digits, - and _: give it another `name`.")
        contents[name] = _secret_content(place.at(key), project.members("secrets")[key] or {}, project)
    values = {name: contents.get(name) for name in used}
    return [{"name": name} | ({} if value is None else {"value": value}) for name, value in values.items()]


def _secret_content(place: Place, given: Mapping[str, Any], project: Project) -> str | None:
    """None when nobody says it here: it has to be in the vault."""
    if _external(given):
        return None
    content = None
    if given.get("file") is not None:
        content = project.file(str(given["file"]))
    elif given.get("environment") is not None:
        content = project.variables.unnoted(str(given["environment"]))
    else:
        place.error("It needs `external`, `file` or `environment`.")
        return None
    if content is None:
        place.warn("Its value was not sent: it has to be in the vault.")
    return content


def needed_configs(project: Project, services: list[Attributes]) -> list[dict[str, str]]:
    """What has to be among the configs of the grid: those that services use, with the contents that the files say."""
    place = Place(project.findings, "configs")
    contents = {}
    for key in project.members("configs"):
        name = name_of("configs", key, project)
        if not grid_config.is_name(name):
            place.at(key).error(
                f"Names of configs have letters, digits, -, _ and ., at most {grid_config.LONGEST_NAME}: give it "
                "another `name`."
            )
        contents[name] = _config_content(place.at(key), project.members("configs")[key] or {}, project)
    used = dict.fromkeys(item["config"] for service in services for item in service.get("configs", ()))
    values = {name: contents.get(name) for name in used}
    return [{"name": name} | ({} if value is None else {"content": value}) for name, value in values.items()]


def _config_content(place: Place, given: Mapping[str, Any], project: Project) -> str | None:
    if _external(given):
        return None
    if given.get("content") is not None:
        return scalars.text(place.at("content"), given["content"])
    if (file := given.get("file")) is not None:
        content = project.file(str(file))
        if content is None:
            place.at("file").error(f"The file {str(file)[:200]} was not sent: add it to `files`.")
        return content
    if (variable := given.get("environment")) is not None:
        content = project.variables.get(str(variable))
        if content is None:
            place.at("environment").error(f"The variable {str(variable)[:200]} is not set.")
        return content
    place.error("It needs `external`, `file`, `environment` or `content`.")
    return None


def secret_files(project: Project) -> set[str]:
    """The files that hold secrets: no stack keeps them."""
    given = (item or {} for item in project.members("secrets").values())
    return {project.normal(str(item["file"])) for item in given if item.get("file") is not None}
