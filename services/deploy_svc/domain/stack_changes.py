"""What a document makes of a stack: an upgrade makes the stack equal to it (docs/spec/deploy_rest.md section 3.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.deploy_svc.domain import service_update as rules
from services.deploy_svc.domain.revision import Change, Version, service_changes
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_input import ServiceInput
from services.deploy_svc.domain.service_input import parse as parse_service
from services.deploy_svc.domain.service_spec import Link, ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.stack_order import BadLink, ordered
from services.deploy_svc.domain.volume import GridVolume, Mount, bind
from services.kernel.errors import ValidationFailed


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service as the document wants it; `current` is None when it has to be created."""

    name: str
    spec: ServiceSpec
    given: ServiceInput
    mounts: tuple[Mount, ...]
    exposed: bool
    current: Service | None

    @property
    def action(self) -> Literal["create", "change", "keep"]:
        """What has to be done."""
        if self.current is None:
            return "create"
        same = (self.current.spec, self.current.mounts, self.current.exposed) == (self.spec, self.mounts, self.exposed)
        return "keep" if same else "change"

    def external_links(self, stack: str) -> list[Link]:
        """Links to services of other stacks."""
        return [link for link in self.spec.links if link.stack != stack]


def wanted(
    document: Document, stack: str, domain: str, current: Mapping[str, Service], volumes: Mapping[str, GridVolume]
) -> tuple[list[Wanted], dict[str, dict[str, Any]]]:
    """The services of an arranged document in its order, and what is wrong with them, by name.

    Attributes that are left out have their defaults, whatever the service has now; only the image and whether it is
    stateful go on when they are not given, and the latter can never change. `volumes` are those of the grid that
    `document.volumes` may mean, by name.
    """
    known = {name: bind(name, volumes[external]) for name, external in document.volumes.items() if external in volumes}
    found: list[Wanted] = []
    errors: dict[str, dict[str, Any]] = {}
    for attributes in document.services:
        name = str(attributes["name"])
        service = current.get(name)
        try:
            given = parse_service(_complete(attributes, service), creating=True, stack=stack)
        except ValidationFailed as error:
            errors[name] = error.errors
            continue
        spec = rules.new_spec(given)
        wrong = rules.problems(spec, given, service.spec if service else None, known)
        wrong |= rules.host_name_problems(given, name, domain)
        if wrong:
            errors[name] = wrong
            continue
        mounts = tuple(known[volume] for volume in rules.volume_names(spec))
        found.append(Wanted(name, spec, given, mounts, document.expose == name, service))
    return found, errors


def surplus(document: Document, current: Sequence[Service]) -> list[Service]:
    """The services that the document does not have, in the order of their removal."""
    kept = {str(service["name"]) for service in document.services}
    return [service for service in removal_order(current) if service.name not in kept]


def removal_order(services: Sequence[Service]) -> list[Service]:
    """Each service before everything it links to; any order where that is impossible."""
    by_name = {service.name: service for service in services}
    links = {
        name: [link.service for link in service.spec.links if link.stack == service.stack and link.service in by_name]
        for name, service in by_name.items()
    }
    try:
        return [by_name[name] for name in reversed(ordered(links))]
    except BadLink:
        return list(by_name.values())


def differences(item: Wanted) -> list[Change]:
    """What changes of a service that is there."""
    if item.current is None:
        return []
    current = item.current
    before = Version(current.spec, current.exposed, current.mounts)
    return list(service_changes(before, Version(item.spec, item.exposed, item.mounts)))


def _complete(attributes: Mapping[str, Any], service: Service | None) -> Mapping[str, Any]:
    given = {name: value for name, value in attributes.items() if name != "force"}
    if service is None:
        return given
    image = given["image"] if given.get("image") is not None else service.spec.image
    return {**given, "image": image, "stateful": service.spec.stateful}
