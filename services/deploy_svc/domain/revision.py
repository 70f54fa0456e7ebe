"""Revisions: what users asked of a service or a stack at some time, and how one differs from another. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.volume import Mount
from services.kernel.errors import ValidationFailed


@dataclass(frozen=True, slots=True)
class Note:
    """Who makes a revision, an e-mail or nobody who is known, and how many are kept."""

    author: str | None = None
    kept: int = 20


@dataclass(frozen=True, slots=True)
class Version:
    """What a revision of a service consists of."""

    spec: ServiceSpec
    exposed: bool = False
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceRevision:
    """A row of `service_revisions`."""

    revision: int
    version: Version
    author: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StackRevision:
    """A row of `stack_revisions`."""

    revision: int
    document: Document
    author: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """An attribute that differs; None where there is none."""

    attribute: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A service of a document that differs; `changes` are of one that was there before and is there still."""

    name: str
    action: Literal["create", "change", "remove"]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentChanges:
    """How a document differs from the one before."""

    attributes: tuple[Change, ...] = field(default=())
    services: tuple[ServiceChange, ...] = field(default=())


def service_changes(before: Version, after: Version) -> tuple[Change, ...]:
    """What differs between two versions of a service, in the order of the attributes."""
    found = _differing(_shown(before.spec), _shown(after.spec))
    if before.exposed != after.exposed:
        found.append(Change("exposed", before.exposed, after.exposed))
    if before.mounts != after.mounts:
        found.append(Change("mounts", _bound(before.mounts), _bound(after.mounts)))
    return tuple(found)


def _shown(spec: ServiceSpec) -> dict[str, Any]:
    """The attributes, of secrets and configs without what says nothing."""
    found = asdict(spec)
    for name in ("secrets", "configs"):
        found[name] = tuple({key: item for key, item in one.items() if item} for one in found[name])
    return found


def document_changes(before: Document, after: Document) -> DocumentChanges:
    """What differs between two documents; services by name, whatever their order."""
    names = [item.name for item in fields(Document) if item.name != "services"]
    plain = [{name: getattr(document, name) for name in names} for document in (before, after)]
    attributes = [_measured(change) for change in _differing(plain[0], plain[1])]
    was, now = ({str(item["name"]): item for item in document.services} for document in (before, after))
    services = [
        ServiceChange(name, "change", tuple(_differing(was[name], attributes)))
        if name in was
        else ServiceChange(name, "create")
        for name, attributes in now.items()
        if was.get(name) != attributes
    ]
    gone = [ServiceChange(name, "remove") for name in was if name not in now]
    return DocumentChanges(tuple(attributes), (*services, *gone))


def wanted_revision(number: int | None) -> int:
    """The number that was given. Raises ValidationFailed without one."""
    if number is None:
        raise ValidationFailed({"revision": "Revision can't be nil: give the number of one that is kept"})
    return number


def not_kept(number: int, kept: Sequence[int]) -> ValidationFailed:
    """The error about a revision that nobody can go back to."""
    known = ", ".join(map(str, kept)) or "none"
    return ValidationFailed({"revision": f"Revision {number} is not kept; kept are {known}"})


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys((*after, *before))
    found = [Change(name, before.get(name), after.get(name)) for name in names]
    return [change for change in found if change.before != change.after]


def _measured(change: Change) -> Change:
    """A file is not shown twice: how long it is tells that it changed."""
    if change.attribute != "source":
        return change
    before, after = (
        f"{len(text.splitlines())} lines, {len(text)} characters" for text in (change.before, change.after)
    )
    return Change("source", before, after)


def _bound(mounts: tuple[Mount, ...]) -> dict[str, str]:
    return {mount.name: mount.volume for mount in mounts}
