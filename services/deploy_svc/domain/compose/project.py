"""The files of a project as one: read, variables replaced, merged, services extended, other profiles left out."""

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.deploy_svc.domain.compose import merging
from services.deploy_svc.domain.compose.interpolation import Variables
from services.deploy_svc.domain.findings import Findings, Place
from services.deploy_svc.domain.yaml_text import Budget, read

_LONGEST_CHAIN = 20
_DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_OVERRIDES = tuple(name.replace(".y", ".override.y") for name in _DEFAULTS)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """`document` is what all files say together; `name` is that of the stack, `files` are all that were sent."""

    name: str
    document: Values
    files: Mapping[str, str]
    variables: Variables
    findings: Findings
    left_out: Collection[str] = field(default_factory=frozenset)

    @property
    def services(self) -> Values:
        """Those that are converted."""
        return self.document.get("services") or {}

    def members(self, key: str) -> Values:
        """A top-level mapping, such as `volumes`."""
        return self.document.get(key) or {}

    def file(self, name: str) -> str | None:
        """The text of a file that a service names, seen from the first one."""
        return self.files.get(self.normal(name))

    @staticmethod
    def normal(name: str) -> str:
        """The name under which a file is sent."""
        return posixpath.normpath(name)


def default_order(names: Collection[str]) -> list[str]:
    """The files that are merged when nobody says which: the only one, or those that compose would take."""
    found = [next((name for name in group if name in names), None) for group in (_DEFAULTS, _OVERRIDES)]
    if found[0] is not None:
        return [name for name in found if name is not None]
    candidates = [name for name in names if name.endswith((".yaml", ".yml"))]
    return candidates if len(candidates) == 1 else []


class Files:
    """Reads each file once."""

    def __init__(self, files: Mapping[str, str], variables: Variables, findings: Findings, budget: Budget) -> None:
        self._files, self._variables = files, variables
        self._findings, self._budget = findings, budget
        self._read: dict[str, Values] = {}

    def merged(self, order: Sequence[str]) -> Values:
        """All of the files in one, later ones over earlier ones, services with what they extend. Raises TooLarge."""
        result: Any = {}
        for name in order:
            document = self._document(name, Place(self._findings))
            services = document.get("services")
            if isinstance(services, Mapping):
                document = {**document, "services": {key: self._extended(name, key, ()) for key in services}}
            result = merging.merge(result, document)
        services = result.get("services")
        if isinstance(services, Mapping):
            normal = {key: _normal(value) for key, value in services.items()}
            result = {**result, "services": normal}
        return dict(result)

    def _document(self, name: str, place: Place) -> Values:
        if name not in self._read:
            text = self._files.get(name)
            found: Any = None
            if text is None:
                place.error(f"The file {name} was not sent: add it to `files`.")
            else:
                found = read(text, Place(self._findings, name), self._budget, tags=merging.TAGS)
                if not isinstance(found, Mapping):
                    Place(self._findings, name).error("A compose file is a mapping with `services`.")
            found = found if isinstance(found, Mapping) else {}
            self._read[name] = self._variables.everywhere(found, place)
        return self._read[name]

    def _extended(self, file: str, name: str, chain: tuple[tuple[str, str], ...]) -> Any:
        """The service over the one it extends, which may extend another one."""
        place = Place(self._findings, f"services.{name}.extends")
        service = self._services(file, place).get(name)
        if not isinstance(service, Mapping) or "extends" not in service:
            return service
        given = service["extends"]
        base_file, base = file, given
        if isinstance(given, Mapping):
            base = given.get("service")
            if isinstance(path := given.get("file"), str):
                base_file = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        if not isinstance(base, str):
            place.error("Name a service, or a service and its file.")
            return service
        if (base_file, base) in chain or len(chain) >= _LONGEST_CHAIN:
            place.error(f"Services extend one another in a circle: {' -> '.join(key for _, key in chain)} -> {base}.")
            return service
        if base not in self._services(base_file, place):
            place.error(f"There is no service {base} in {base_file}.")
            return service
        found = self._extended(base_file, base, (*chain, (file, name)))
        self._budget.charge_value(found)
        own = {key: value for key, value in service.items() if key != "extends"}
        return merging.merge(merging.cleaned(found), own)

    def _services(self, file: str, place: Place) -> Values:
        services = self._document(file, place).get("services")
        return services if isinstance(services, Mapping) else {}


def of_profiles(document: Values, profiles: Collection[str], place: Place) -> tuple[Values, frozenset[str]]:
    """The document without the services that belong to other profiles only, and their names."""
    services = document.get("services")
    if not isinstance(services, Mapping):
        return document, frozenset()
    kept = {name: value for name, value in services.items() if _enabled(value, profiles)}
    if services and not kept:
        place.at("services").error("Every service belongs to a profile: name one in `profiles`, or `*` for all.")
    return {**document, "services": kept}, frozenset(services) - frozenset(kept)


def _enabled(service: Any, profiles: Collection[str]) -> bool:
    wanted = service.get("profiles") if isinstance(service, Mapping) else None
    if not isinstance(wanted, list) or not wanted or "*" in profiles:
        return True
    return any(profile in profiles for profile in wanted if isinstance(profile, str))


def _normal(service: Any) -> Any:
    """With mappings where lists may be written instead."""
    if not isinstance(service, Mapping):
        return service
    return {key: merging.as_mapping(value, key) for key, value in service.items()}
