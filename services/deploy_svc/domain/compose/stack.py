"""The document of a stack, made of compose files."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jsonschema_rs import Draft202012Validator

from services.deploy_svc.domain.compose import deploying, environment, keys, mounted_files, networks, scalars, schema
from services.deploy_svc.domain.compose import service_parts as parts
from services.deploy_svc.domain.compose.interpolation import EXTENSION, Variables
from services.deploy_svc.domain.compose.project import Files, Project, default_order, of_profiles
from services.deploy_svc.domain.compose.table import Attributes, combine, converted, kept
from services.deploy_svc.domain.findings import Findings, Place
from services.deploy_svc.domain.readers import scalar_text
from services.deploy_svc.domain.stack_file import keys as stack_file_keys
from services.deploy_svc.domain.stack_order import BadLink, ordered
from services.deploy_svc.domain.stack_source import Converted, Source, checked, pack, used_secrets
from services.deploy_svc.domain.volume_spec import parse_volume
from services.deploy_svc.domain.yaml_text import Budget
from services.kernel.validation import NAME

ENV_FILE = ".env"
_VERSION = "1"


def convert(
    source: Source, compose_schema: Draft202012Validator, findings: Findings, budget: Budget
) -> Converted | None:
    """The stack that the files describe; None when something about them is wrong, which `findings` say. Raises
    TooLarge."""
    place = Place(findings)
    order = list(source.order) or default_order(source.files)
    if not order:
        place.at("order").error("There are several files: name those that are merged, the first one first.")
        return None
    variables = _variables(source, findings, budget)
    document = Files(source.files, variables, findings, budget).merged(order)
    document, left_out = of_profiles(document, source.profiles, place)
    if findings.errors:
        return None
    document = _supported(document, place)
    if not schema.fits(document, compose_schema, findings):
        return None
    name = source.name or document.get("name") or ""
    if not name:
        place.at("name").error("The stack needs a name: give it in the request, or as `name` of the file.")
    project = Project(name, document, source.files, variables, findings, left_out)
    return _stack(project, source, order)


def _variables(source: Source, findings: Findings, budget: Budget) -> Variables:
    """Values of the request, of the file .env, and those that the stack keeps, the first ones first."""
    given = {}
    for name, value in source.variables.items():
        if (text := scalars.text(Place(findings, "variables").at(name), value)) is not None:
            given[name] = text
    before = {name: text for name, value in source.kept.items() if (text := scalar_text(value)) is not None}
    found = {**before, **given}
    if (text := source.files.get(ENV_FILE)) is not None:
        file = environment.parse(text, Place(findings, ENV_FILE), Variables(found, budget).replace)
        found = {**before, **{name: value for name, value in file.items() if value is not None}, **given}
    return Variables(found, budget)


def _supported(document: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The document without what is not supported, which is told, and without what is empty."""
    found = kept(keys.TOP, place, document)
    for key, table in keys.ELEMENTS.items():
        if isinstance(members := found.get(key), Mapping):
            found[key] = {
                name: {} if item is None and key != "services" else kept(table, place.at(key).at(name), item)
                for name, item in members.items()
                if not name.startswith("x-")
            }
    return {key: item for key, item in found.items() if item is not None}


def _stack(project: Project, source: Source, order: Sequence[str]) -> Converted | None:
    place = Place(project.findings)
    if not project.services:
        place.at("services").error("There is no service in the files.")
    networks.check(project, place.at("networks"))
    services = [_service(project, name) for name in project.services]
    volumes = {name: _volume(project, name) for name in _used(services) if name in project.members("volumes")}
    _keep_together(services, volumes, place)
    unkept = {ENV_FILE, *mounted_files.secret_files(project)}
    secrets = mounted_files.needed_secrets(project, used_secrets(services))
    configs = mounted_files.needed_configs(project, services)
    document = {
        "name": project.name,
        "stack": project.name,
        "version": _VERSION,
        "registry": "file://",
        "source": pack({name: text for name, text in source.files.items() if name not in unkept}, order),
        "variables": dict(project.variables.used),
        "services": services,
        "volumes": [{"name": name, "external": volume["name"]} for name, volume in volumes.items()],
    }
    needed = [volume for volume in volumes.values() if "driver" in volume]
    return checked(Converted("compose", document, needed, secrets, configs=configs), project.findings)


def _service(project: Project, name: str) -> Attributes:
    place, given = Place(project.findings, f"services.{name}"), project.services[name] or {}
    if NAME.fullmatch(name) is None:
        place.error("Names of services have letters, digits, - and _ here: call it otherwise.")
    if not given.get("image"):
        place.error("A service needs an `image`.")
    found = converted(keys.SERVICE, place, given, project)
    if given.get("env_file") is not None:
        below = parts.env_files(place.at("env_file"), given["env_file"], project)
        own = dict(item.partition("=")[::2] for item in found.get("env", ()))
        found["env"] = [f"{key}={text}" for key, text in {**below, **own}.items()]
    if (more := given.get(EXTENSION)) is not None:
        inner = place.at(EXTENSION)
        if not isinstance(more, Mapping):
            inner.error("This takes a mapping with keys of a service.")
        combine(found, converted(stack_file_keys.SERVICE, inner, kept(stack_file_keys.SERVICE, inner, more), project))
    deploying.with_min_health(found)
    return {"name": name, "stateful": False, **{key: item for key, item in found.items() if item not in ([], {})}}


def _volume(project: Project, name: str) -> dict[str, Any]:
    """The volume of the grid as it is made; one that has to exist has its name only."""
    place, given = Place(project.findings, f"volumes.{name}"), project.members("volumes")[name] or {}
    external = given.get("external")
    called = scalars.text(place.at("name"), given["name"]) if given.get("name") else None
    if isinstance(external, Mapping) or external not in (None, False, "false"):
        inner = external.get("name") if isinstance(external, Mapping) else None
        return {"name": str(inner or called or name)}
    options = given.get("driver_opts")
    return {
        "name": called or f"{project.name}-{name}",
        "scope": "grid" if called else "stack",
        "driver": given.get("driver") or "local",
        **({"driver_opts": {key: str(item) for key, item in options.items()}} if isinstance(options, Mapping) else {}),
    }


def _used(services: Sequence[Attributes]) -> list[str]:
    """The named volumes that services mount, in order."""
    mounts = (parse_volume(text) for service in services for text in service.get("volumes", ()))
    return list(dict.fromkeys(mount.name for mount in mounts if mount is not None and mount.name is not None))


def _keep_together(services: Sequence[Attributes], volumes: Collection[str], place: Place) -> None:
    """Services that share a volume go where the first one of them is deployed: volumes are those of a node."""
    by_name = {service["name"]: service for service in services}
    try:
        order = ordered({name: [link["name"] for link in item.get("links", ())] for name, item in by_name.items()})
    except BadLink:
        return  # It is told where the document is checked.
    for volume in volumes:
        users = [name for name in order if volume in _used([by_name[name]])]
        for name in users[1:]:
            rule = f"service=={users[0]}"
            by_name[name]["affinity"] = [*by_name[name].get("affinity", ()), rule]
            place.at("services").at(name).at("volumes").warn(
                f"It shares the volume {volume} with {users[0]}: the affinity {rule} keeps both on one node."
            )
