"""A stack: a document that says what its services shall be, and the services that exist now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_view import ServiceView

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
class StackView:
    """What an answer shows. `parent_exists` says whether there is a stack called `stack.parent_name`."""

    stack: Stack
    state: StackState
    services: tuple[ServiceView, ...] = ()
    children: tuple[str, ...] = ()
    parent_exists: bool = False


def state_of(services: Sequence[Service], deploying: Collection[str]) -> StackState:
    """The state that the services make (section 3.3); `deploying` are ids of services with an unfinished deploy."""
    states = {service.state for service in services}
    if states <= {"initialized"}:
        return "initialized"
    if any(service.id in deploying for service in services):
        return "deploying"
    if states == {"stopped"}:
        return "stopped"
    return "running" if states == {"running"} else "partially_running"
