"""What a client wrote about a stack, checked attribute by attribute (docs/spec/deploy_rest.md section 3.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.domain.service_input import CONTAINER_NAME
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.stack_order import BadLink, ordered
from services.kernel.errors import ValidationFailed
from services.kernel.validation import NAME, Checker, title

Attributes = Mapping[str, Any]

MOST_SERVICES = 500
NAME_TAKEN = {"name": "Stack with this name already exists"}


@dataclass(frozen=True, slots=True)
class StackInput:
    """A checked document. `metadata` is None when it was not given."""

    name: str
    parent_name: str | None
    document: Document
    metadata: Mapping[str, Any] | None

    def over(self, current: Document) -> Document:
        """The document that replaces `current`: metadata that was not given stays."""
        return replace(self.document, metadata=current.metadata) if self.metadata is None else self.document


def parse(given: Attributes, *, creating: bool) -> StackInput:
    """Check every attribute by itself. Raises ValidationFailed with all errors."""
    check = Checker()
    for name in ("name", "stack", "version") if creating else ("stack", "version"):
        if name in given and given[name] is None:
            check.fail(name, f"{title(name)} can't be nil")
    called = (
        check.text("name", given.get("name"), required=True, pattern=CONTAINER_NAME, longest=64) if creating else None
    )
    document = Document(
        stack=check.text("stack", given.get("stack"), required=True, longest=1024) or "",
        version=check.text("version", given.get("version"), required=True, longest=1024) or "",
        registry=_optional(check, "registry", given),
        # Not cleaned: it is a file.
        source=given.get("source") or "",
        expose=_optional(check, "expose", given),
        services=tuple(given.get("services") or ()),
        variables=given.get("variables") or {},
        volumes=_volumes(check, given.get("volumes") or ()),
        metadata=given.get("metadata") or {},
        labels=tuple(check.texts("labels", given.get("labels") or ())),
    )
    if "services" not in given:
        check.fail("services", "Services is required")
    check.elements("services", [_named(service) for service in document.services])
    check.done()
    return StackInput(called or "", _parent(given), document, given.get("metadata"))


def problems(given: StackInput) -> dict[str, Any]:
    """Errors of the document as a whole; services are not looked into while it has any."""
    services = given.document.services
    if given.name == NULL_STACK:
        return NAME_TAKEN
    if not services:
        return {"services": "A stack needs at least one service"}
    if len(services) > MOST_SERVICES:
        return {"services": f"A stack has at most {MOST_SERVICES} services"}
    return {}


def arranged(document: Document, stack: str) -> Document:
    """The document with its services in dependency order. Raises ValidationFailed for names and links (section 3.5)."""
    by_name: dict[str, Attributes] = {}
    for service in document.services:
        name = str(service["name"])
        if name in by_name:
            raise ValidationFailed({"services": {name: {"name": "Service with this name already exists"}}})
        by_name[name] = service
    try:
        names = ordered({name: local_links(service.get("links") or (), stack) for name, service in by_name.items()})
    except BadLink as error:
        raise ValidationFailed({"services": {error.service: {"links": error.message}}}) from None
    if document.expose is not None and document.expose not in by_name:
        raise ValidationFailed({"expose": f"Exposed service {document.expose} is not a service of the stack"})
    return replace(document, services=tuple(by_name[name] for name in names))


def local_links(links: Sequence[Mapping[str, Any]], stack: str) -> list[str]:
    """Names of the linked services of the own stack."""
    parts = [str(link.get("name") or "").split("/") for link in links]
    return [path[-1] for path in parts if path[-1] and (len(path) == 1 or path[-2] == stack)]


def _named(service: Attributes) -> Checker:
    one = Checker()
    one.text("name", service.get("name"), required=True, pattern=NAME, longest=64)
    return one


def _optional(check: Checker, name: str, given: Attributes) -> str | None:
    """Text that may be left out; an empty one counts as left out, as stack files may render to that."""
    return check.text(name, given[name], longest=1024) if given.get(name) else None


def _parent(given: Attributes) -> str | None:
    parent = given.get("parent") or {}
    name = parent.get("name") or (parent.get("id") or "").rpartition("/")[2] or given.get("parent_name")
    return str(name) if name else None


def _volumes(check: Checker, values: Sequence[Attributes]) -> dict[str, str]:
    """Name in the stack to name in the grid; only external volumes can be used."""
    found: dict[str, str] = {}
    nested = Checker()
    for index, value in enumerate(values):
        name = value.get("name") or ""
        if NAME.fullmatch(name) is None:
            nested.fail(name or str(index), "Name isn't in the right format")
        elif (external := _external(name, value.get("external"))) is None:
            nested.fail(name, "Only external volumes can be used: `external` names a volume of the grid")
        else:
            found[name] = external
    check.nested("volumes", nested)
    return found


def _external(name: str, value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name")
    if value is True:
        return name
    return value if isinstance(value, str) and value else None
