"""From a document to the services it wants, checked against everything around: nothing is written here."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.clients.grids import Grid
from services.deploy_svc.domain import stack_changes
from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.stack import Document, Stack
from services.deploy_svc.domain.stack_changes import Wanted
from services.deploy_svc.domain.stack_input import NAME_TAKEN, arranged
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.domain.volume import Mount
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import volumes as volume_store
from services.deploy_svc.usecases import service_checks as checks
from services.kernel.audit import Resource
from services.kernel.db import Tx
from services.kernel.errors import NotFound, ValidationFailed
from services.kernel.validation import NAME

# Whether the caller may give a service of this name these attributes and volumes.
Allow = Callable[[str, ServiceSpec, Iterable[Mount]], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document in dependency order, what it makes of each service, and which services it has no place for. `held` are
    those of the latter that services of other stacks link to, with the linkers."""

    document: Document
    services: tuple[Wanted, ...]
    surplus: tuple[Service, ...]
    held: Mapping[str, Sequence[str]] = field(default_factory=dict)


async def prepare(
    tx: Tx,
    grid: Grid,
    stack: str,
    document: Document,
    current: Collection[Service],
    *,
    known: VaultNames,
    allow: Allow,
    deploying: bool = False,
) -> Prepared:
    """Check the document as a whole and each of its services. Raises ValidationFailed with everything that is wrong;
    when `deploying`, what `held` says is for the caller to judge. Raises what `allow` raises for a service as it is or
    as it would be."""
    document = arranged(document, stack)
    volumes = await volume_store.find_many(tx, grid.id, set(document.volumes.values()), lock=True)
    errors: dict[str, Any] = {}
    missing = {
        name: {"external": f"Volume {external} does not exist"}
        for name, external in document.volumes.items()
        if external not in volumes
    }
    if missing:
        errors["volumes"] = missing
    by_name = {service.name: service for service in current}
    domain = f"{stack}.{grid.name}.kontena.local"
    found, wrong = stack_changes.wanted(document, stack, domain, by_name, volumes)
    surplus = stack_changes.surplus(document, list(current))
    for item in found:
        problems = item.given.missing(known)
        if links := item.external_links(stack):
            problems |= await checks.link_problems(tx, grid, links)
        if problems:
            wrong[item.name] = problems
    linked = {service.name: await foreign_linkers(tx, service) for service in surplus}
    held = {name: linkers for name, linkers in linked.items() if linkers}
    if not deploying:
        for name, linkers in held.items():
            text = f"Cannot delete service that is linked to another service: {', '.join(linkers)}"
            wrong[name] = {"service": text}
    if wrong:
        errors["services"] = wrong
    checks.refuse(errors)
    for service in current:
        allow(service.name, service.spec, service.mounts)
    for item in found:
        allow(item.name, item.spec, item.mounts)
    return Prepared(document, tuple(found), tuple(surplus), held)


async def foreign_linkers(tx: Tx, service: Service) -> list[str]:
    """Services of other stacks that link to this one."""
    linkers = await service_store.linkers(tx, service.grid_id, service.stack, service.name)
    return [linker for linker in linkers if not linker.startswith(f"{service.stack}/")]


def vault_names(document: Document) -> VaultNames:
    """What services of the document name of the vault and of configs; what is malformed is found later."""
    return VaultNames(
        _named(document, "secrets", "secret"),
        _named(document, "certificates", "subject"),
        _named(document, "configs", "config"),
    )


def _named(document: Document, attribute: str, member: str) -> frozenset[str]:
    items = (item for service in document.services for item in service.get(attribute) or ())
    return frozenset(name for item in items if isinstance(name := item.get(member), str))


async def write_wanted(tx: Tx, grid: Grid, stack: str, wanted: Wanted, note: Note) -> Service:
    """Make the service what is wanted; its revision grows when that changes anything."""
    if wanted.current is None:
        made = await service_store.insert(
            tx,
            grid_id=grid.id,
            grid=grid.name,
            stack=stack,
            name=wanted.name,
            spec=wanted.spec,
            mounts=wanted.mounts,
            exposed=wanted.exposed,
            note=note,
        )
        if made is None:
            raise ValidationFailed(NAME_TAKEN)
        return made
    if wanted.action == "keep":
        return wanted.current
    spec, service_id = wanted.spec, wanted.current.id
    mounts, exposed = wanted.mounts, wanted.exposed
    return await service_store.update(tx, service_id, spec, bump=True, mounts=mounts, exposed=exposed, note=note)


def stack_name(path: str) -> str:
    """The name in `grid/stack`. Raises NotFound when that is no name."""
    name = path.partition("/")[2]
    if NAME.fullmatch(name) is None:
        raise NotFound
    return name


def still_there(stack: Stack | None) -> tuple[Stack, Document]:
    """The stack and its document. Raises NotFound when there is none, ValidationFailed when it is being removed."""
    if stack is None or stack.document is None:
        raise NotFound
    if stack.removed_at is not None:
        raise ValidationFailed({"stack": f"The stack {stack.path} is being removed"})
    return stack, stack.document


def refuse_null(name: str, what: str) -> None:
    """Raise ValidationFailed for the stack of services that belong to none."""
    if name == NULL_STACK:
        raise ValidationFailed({"stack": f"The stack {NULL_STACK} can't be {what}"})


def resource(grid: Grid, stack: Stack | None, name: str) -> Resource:
    """The stack as the audit trail names it."""
    return Resource("Stack", stack.id if stack else f"{grid.name}/{name}", name, grid.id, grid.name)


def without_revision(document: Document) -> Document:
    """What tells one revision from another: everything but the order of the services."""
    return replace(document, services=tuple(sorted(document.services, key=lambda service: str(service["name"]))))
