"""The document of a stack, made of a stack file."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from services.deploy_svc.domain.compose import environment, merging, scalars
from services.deploy_svc.domain.compose import service_parts as parts
from services.deploy_svc.domain.compose.interpolation import Variables as PlainVariables
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, converted, kept
from services.deploy_svc.domain.findings import Findings, Place
from services.deploy_svc.domain.readers import scalar_text
from services.deploy_svc.domain.stack_file import conditions, keys, template
from services.deploy_svc.domain.stack_file.resolvers import Vault
from services.deploy_svc.domain.stack_file.variables import Variables
from services.deploy_svc.domain.stack_source import KONTENA, Converted, Source, checked, pack, used_secrets
from services.deploy_svc.domain.yaml_text import Budget, read

__all__ = ["Vault", "convert"]

_NAME = re.compile(r"^stack\s*:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_DEFAULTS = ("kontena.yml", "kontena.yaml", "stack.yml")
_DEEPEST, _LONGEST_CHAIN = 4, 20


def convert(
    source: Source,
    vault: Vault,
    chance: Callable[[int], bytes],
    findings: Findings,
    budget: Budget,
) -> Converted | None:
    """The stack that the file describes; None when something is wrong, which `findings` say. Raises TooLarge."""
    name = _main(source)
    if name is None:
        Place(findings, "order").error("There are several files: name the stack file.")
        return None
    return _Conversion(source, vault, chance, findings, budget).stack(name, Place(findings), 1)


def _main(source: Source) -> str | None:
    if source.order:
        return source.order[0]
    candidates = [name for name in source.files if name.endswith((".yml", ".yaml"))]
    default = next((name for name in _DEFAULTS if name in source.files), None)
    return default or (candidates[0] if len(candidates) == 1 else None)


class _Conversion:
    """One stack file with all that it names."""

    def __init__(
        self, source: Source, vault: Vault, chance: Callable[[int], bytes], findings: Findings, budget: Budget
    ) -> None:
        self._source, self._vault, self._chance = source, vault, chance
        self._findings, self._budget = findings, budget

    def stack(self, file: str, place: Place, depth: int, parent: str | None = None) -> Converted | None:
        """The stack of a file of the request."""
        text = self._source.files[file]
        schema = _NAME.search(text)
        if schema is None:
            place.at("stack").error("A stack file says which stack it is: `stack: user/name`.")
            return None
        name = self._source.name or schema[1].rpartition("/")[2].partition(":")[0]
        builtin = {"STACK": name, "GRID": self._source.grid, "PLATFORM": self._source.grid}
        variables = self._variables(text, builtin, place)
        variables.resolve()
        if self._findings.errors:
            return None
        document = self._document(file, variables)
        if not isinstance(document, Mapping):
            return None
        document = kept(keys.TOP, place, document)
        dependencies = self._dependencies(file, document, name, place.at("depends"), depth)
        made = self._made(file, name, schema[1], document, variables)
        if parent is not None:
            made = replace(made, document={**made.document, "parent": {"name": parent}})
        result = checked(made, self._findings)
        if result is None:
            return None
        before = [one for item in dependencies for one in (*item.dependencies, item.document)]
        volumes = [*(volume for item in dependencies for volume in item.volumes), *made.volumes]
        secrets = [*(secret for item in dependencies for secret in item.secrets), *made.secrets]
        return replace(result, dependencies=before, volumes=volumes, secrets=secrets)

    def _variables(self, text: str, builtin: Mapping[str, str], place: Place) -> Variables:
        block = template.block(template.with_names(text, builtin), "variables")
        definitions = read(block, place.at("variables"), self._budget) if block else None
        given = dict(self._source.kept)
        if (env := self._source.files.get(".env")) is not None:
            given |= environment.parse(env, Place(self._findings, ".env"), None)
        return Variables(
            definitions.get("variables") if isinstance(definitions, Mapping) else None,
            {**given, **self._source.variables},
            builtin,
            self._vault,
            files=self._source.files,
            chance=self._chance,
            place=place.at("variables"),
        )

    def _document(self, file: str, variables: Variables) -> Any:
        place = Place(self._findings, file)
        text = template.rendered(self._source.files[file], variables.for_templates(), place)
        text = template.with_variables(text, variables.text, place)
        self._budget.charge(0, len(text))
        if self._findings.errors:
            return None
        found = read(text, place, self._budget)
        if not self._findings.errors and not isinstance(found, Mapping):
            place.error("A stack file is a mapping with `stack`, `version` and `services`.")
        return found

    def _made(self, file: str, name: str, schema: str, document: Mapping[str, Any], variables: Variables) -> Converted:
        place = Place(self._findings)
        given = document.get("services")
        if not isinstance(given, Mapping) or not given:
            place.at("services").error("A stack has services: a mapping of them by name.")
            given = {}
        project = Project(name, document, self._source.files, PlainVariables({}, self._budget), self._findings)
        services = []
        for key, value in given.items():
            one = place.at("services").at(key)
            if not isinstance(value, Mapping):
                one.error("This takes a mapping.")
            elif not conditions.skipped(value, variables.value, one):
                services.append(self._service(file, key, document, variables, project))
        volumes = self._volumes(document, place.at("volumes"))
        made = {
            "name": name,
            "stack": schema,
            "version": scalar_text(document.get("version")) or "0.0.1",
            "registry": scalar_text(document.get("registry")) or "file://",
            "expose": scalar_text(document.get("expose")),
            "source": pack({key: text for key, text in self._source.files.items() if key != ".env"}, [file]),
            "variables": variables.to_keep(),
            "services": services,
            "volumes": [{"name": key, "external": external} for key, external in volumes.items()],
            "metadata": document.get("meta") if isinstance(document.get("meta"), Mapping) else None,
            "labels": document.get("labels") if isinstance(document.get("labels"), list) else None,
        }
        needed: list[dict[str, Any]] = [{"name": key, "value": text} for key, text in variables.secrets.items()]
        needed += [{"name": secret} for secret in used_secrets(services) if secret not in variables.secrets]
        document = {key: item for key, item in made.items() if item is not None}
        return Converted(KONTENA, document, [{"name": volume} for volume in volumes.values()], needed)

    def _service(
        self, file: str, name: str, document: Mapping[str, Any], variables: Variables, project: Project
    ) -> Attributes:
        place = Place(self._findings, f"services.{name}")
        given = self._extended(file, name, document, variables, ())
        given = kept(keys.SERVICE, place, {key: merging.as_mapping(item, key) for key, item in given.items()})
        found = converted(keys.SERVICE, place, given, project)
        if given.get("env_file") is not None:
            below = parts.env_files(place.at("env_file"), given["env_file"], project)
            own = dict(item.partition("=")[::2] for item in found.get("env", ()))
            found["env"] = [f"{key}={text}" for key, text in {**below, **own}.items()]
        if not given.get("image"):
            place.error("A service needs an `image`.")
        return {"name": name, "stateful": False, **found}

    def _extended(
        self, file: str, name: str, document: Mapping[str, Any], variables: Variables, chain: tuple[Any, ...]
    ) -> dict[str, Any]:
        """The service over the one it extends: what it says replaces, variables and secrets are added by name."""
        place = Place(self._findings, f"services.{name}.extends")
        services = document.get("services")
        service = services.get(name) if isinstance(services, Mapping) else None
        if not isinstance(service, Mapping):
            place.error(f"There is no service {name[:60]} in {file}.")
            return {}
        given = service.get("extends")
        own = {key: item for key, item in service.items() if key != "extends"}
        if given is None:
            return own
        options = given if isinstance(given, Mapping) else {"service": given}
        base, path = options.get("service"), options.get("file")
        if not isinstance(base, str) or "stack" in options:
            place.error("This takes the name of a service, or a mapping with `service` and `file`.")
            return own
        other = posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if isinstance(path, str) else file
        if (other, base) in chain or len(chain) > _LONGEST_CHAIN:
            place.error(f"Services extend one another in a circle: {name} -> {base}.")
            return own
        if other not in self._source.files:
            place.error(f"The file {other[:200]} was not sent: add it to `files`.")
            return own
        parent = document if other == file else self._document(other, variables)
        if not isinstance(parent, Mapping):
            return own
        found = self._extended(other, base, parent, variables, (*chain, (file, name)))
        self._budget.charge_value(found)
        return _over(found, own)

    def _volumes(self, document: Mapping[str, Any], place: Place) -> dict[str, str]:
        given = document.get("volumes")
        found = {}
        for name, options in given.items() if isinstance(given, Mapping) else ():
            external = options.get("external") if isinstance(options, Mapping) else None
            called = external.get("name") if isinstance(external, Mapping) else external
            text = name if called is True else scalars.text(place.at(name), called) if called else None
            if text is None:
                place.at(name).error(
                    "Volumes of the grid can be used only: `external: true`, or `external: {name: NAME}`."
                )
            else:
                found[name] = text
        return found

    def _dependencies(
        self, file: str, document: Mapping[str, Any], parent: str, place: Place, depth: int
    ) -> list[Converted]:
        given = document.get("depends")
        found = []
        for name, options in given.items() if isinstance(given, Mapping) else ():
            one = place.at(name)
            path = options.get("stack") if isinstance(options, Mapping) else None
            other = (
                posixpath.normpath(posixpath.join(posixpath.dirname(file), text)) if (text := scalar_text(path)) else ""
            )
            if other not in self._source.files:
                one.at("stack").error(
                    f"The file of {(text or name)[:200]} was not sent: add it to `files` under this name."
                )
                continue
            if depth >= _DEEPEST or other == file:
                one.error(f"Stacks depend on one another more than {_DEEPEST} deep.")
                continue
            variables = options.get("variables")
            own = {key.removeprefix(f"{name}."): item for key, item in self._source.variables.items()
                   if key.startswith(f"{name}.")}  # fmt: skip
            source = replace(
                self._source,
                name=f"{parent}-{name}",
                variables={**(variables if isinstance(variables, Mapping) else {}), **own},
            )
            child = _Conversion(source, self._vault, self._chance, self._findings, self._budget)
            if (made := child.stack(other, one, depth + 1, parent)) is not None:
                found.append(made)
        return found


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **own}
    for key in ("environment", "secrets", "labels"):
        if key in base and key in own:
            below, above = merging.as_mapping(base[key], key), merging.as_mapping(own[key], key)
            if isinstance(below, Mapping) and isinstance(above, Mapping):
                merged[key] = {**below, **above}
            elif isinstance(below, list) and isinstance(above, list):
                names = [item.get("name") for item in above if isinstance(item, Mapping)]
                kept_ones = [item for item in below if isinstance(item, Mapping) and item.get("name") not in names]
                merged[key] = [*kept_ones, *above]
    return merged
