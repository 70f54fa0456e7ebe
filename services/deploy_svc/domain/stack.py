"""A stack: a document that says what its services shall be, and the services that exist now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.deploy_svc.domain.service_view import ShownService

StackState = Literal["initialized", "deploying", "running", "stopped", "partially_running"]


@dataclass(frozen=True, slots=True)
class Document:
    """One revision. `services` are the attributes as they were given, in dependency order.

    `volumes` maps names that services use to names of volumes of the grid.
    """

    stack: str
    version: str
    registry: str | None = None
    source: str = ""
    expose: str | None = None
    services: tuple[Mapping[str, Any], ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """A row of `stacks` with its latest revision; the `null` stack has no document."""

    id: str
    grid_id: str
    grid: str
    name: str
    parent_name: str | None
    revision: int
    created_at: datetime | None
    removed_at: datetime | None
    document: Document | None
    updated_at: datetime | None

    @property
    def path(self) -> str:
        """`grid/stack`."""
        return f"{self.grid}/{self.name}"

    @property
    def domainname(self) -> str:
        """The DNS domain of its services."""
        return f"{self.name}.{self.grid}.kontena.local"

    @property
    def etag(self) -> str:
        """Names this version of the document."""
        return f"{self.id}-{self.revision}"


@dataclass(frozen=True, slots=True)
class StackPart:
    """What is kept of a version of a stack: its own part of the answer, encoded, and what the rest depends on. The
    `null` stack has no `etag`."""

    encoded: bytes
    etag: str
    grid: str
    parent_name: str | None


@dataclass(frozen=True, slots=True)
class Kin:
    """What other stacks make of one: whether there is one called like its parent, and the names of its children."""

    parent_exists: bool = False
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownStack:
    """What an answer is put together from. Services come in the order of creation."""

    part: StackPart
    state: StackState
    services: Sequence[ShownService] = ()
    kin: Kin = field(default=Kin())


def state_of(services: Sequence[ShownService], deploying: Collection[str]) -> StackState:
    """The state that the services make (section 3.3); `deploying` are ids of services with an unfinished deploy."""
    states = {service.part.state for service in services}
    if states <= {"initialized"}:
        return "initialized"
    if any(service.id in deploying for service in services):
        return "deploying"
    if states == {"stopped"}:
        return "stopped"
    return "running" if states == {"running"} else "partially_running"
